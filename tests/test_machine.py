"""The processor's name and vectors, from what Linux writes of it."""

import os
import platform

import pytest

from oodlib.machine import cores, processor

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
