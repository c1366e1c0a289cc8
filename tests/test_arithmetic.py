"""Precision by the processor: instructions decide, a measurement says how slow the rest is."""

import pytest
import torch

from oodlib import arithmetic
from oodlib.arithmetic import autocast, computes_in, slower, training_precision, warning


@pytest.fixture
def processor(monkeypatch):
    """Pretend that the processor has these instructions and no others."""

    def has(*names):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True), raising=False)

    return has


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_processor_that_multiplies_bfloat16_trains_in_it(processor, name):
    processor("avx2", name)
    assert computes_in("bf16")
    assert not computes_in("fp16")
    assert training_precision() == "bf16"
    assert warning("bf16") == ""


@pytest.mark.parametrize("names", [("avx2",), ("avx2", "avx512_f", "avx512_bw"), ()])
def test_any_other_trains_in_float32(processor, names):
    processor(*names)
    assert not computes_in("bf16")
    assert computes_in("fp32")
    assert training_precision() == "fp32"


def test_float16_is_never_trained_in(processor):
    processor("avx512_fp16", "amx_fp16")
    assert computes_in("fp16")
    assert training_precision() == "fp32"


def test_an_older_torch_that_cannot_tell_means_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert training_precision() == "fp32"


def test_the_warning_says_how_slow_and_is_one_sentence(processor, monkeypatch):
    processor("avx2")
    monkeypatch.setattr(arithmetic, "slower", lambda precision: 37.8)
    assert warning("bf16").endswith("it takes about 38 times as long as float32 here")
    assert "float16" in warning("fp16")
    assert warning("fp32") == ""


def test_other_devices_are_asked_about_themselves(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    assert computes_in("fp16", "cuda:0")
    assert not computes_in("bf16", "cuda:0")
    assert "cuda" in warning("bf16", "cuda:0")
    assert computes_in("fp16", "mps")


def test_measuring_leaves_the_threads_and_the_random_numbers_as_they_were():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert slower("fp32") > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_asked_for_is_computed_in_even_where_it_is_slow():
    square = torch.ones(4, 4)
    with autocast("bf16"):
        assert (square @ square).dtype is torch.bfloat16
    with autocast("fp32"):
        assert (square @ square).dtype is torch.float32
