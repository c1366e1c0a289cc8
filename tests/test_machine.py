"""The processor's name and vectors, from what Linux writes of it; precision by its instructions."""

import os
import platform

import pytest
import torch

from oodlib import machine
from oodlib.machine import autocast, computes_in, cores, processor, slower, training_precision, warning

ZEN3 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 avx f16c avx2 fma\n\nprocessor\t: 1\n"
SAPPHIRE = "model name : Xeon\nflags : avx avx2 avx512f avx512_bf16 amx_bf16\n"
SKYLAKE = "model name : Xeon\nflags : avx avx2 avx512f avx512bw\n"
GRAVITON = "processor : 0\nFeatures : fp asimd sve bf16\nCPU implementer : 0x41\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ZEN3, "AMD EPYC, AVX2, no bfloat16"),
        (SAPPHIRE, "Xeon, AVX-512, bfloat16"),
        (SKYLAKE, "Xeon, AVX-512, no bfloat16"),
        ("model name : Old\nflags : sse2\n", "Old"),
    ],
)
def test_name_vectors_and_bfloat16(tmp_path, text, said):
    file = tmp_path / "cpuinfo"
    file.write_text(text, encoding="utf-8")
    assert processor(file) == said


def test_arm_has_no_model_name_there(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    file = tmp_path / "cpuinfo"
    file.write_text(GRAVITON, encoding="utf-8")
    assert processor(file) == "aarch64, SVE, bfloat16"


def test_elsewhere_the_name_is_all_that_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert processor(tmp_path / "none") == "arm"


def test_no_more_cores_are_used_than_allowed():
    assert 1 <= cores() <= os.cpu_count()


@pytest.fixture
def instructions(monkeypatch):
    """Pretend that the processor has these instructions and no others."""

    def has(*names):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(names, True), raising=False)

    return has


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16"])
def test_a_processor_that_multiplies_bfloat16_trains_in_it(instructions, name):
    instructions("avx2", name)
    assert computes_in("bf16")
    assert not computes_in("fp16")
    assert training_precision() == "bf16"
    assert warning("bf16") == ""


@pytest.mark.parametrize("names", [("avx2",), ("avx2", "avx512_f", "avx512_bw"), ()])
def test_any_other_trains_in_float32(instructions, names):
    instructions(*names)
    assert not computes_in("bf16")
    assert computes_in("fp32")
    assert training_precision() == "fp32"


def test_float16_is_never_trained_in(instructions):
    instructions("avx512_fp16", "amx_fp16")
    assert computes_in("fp16")
    assert training_precision() == "fp32"


def test_an_older_torch_that_cannot_tell_means_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert training_precision() == "fp32"


def test_the_warning_says_how_slow_and_is_one_sentence(instructions, monkeypatch):
    instructions("avx2")
    monkeypatch.setattr(machine, "slower", lambda precision: 37.8)
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
