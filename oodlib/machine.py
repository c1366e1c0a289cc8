"""What this machine has: cores, the processor in the words that decide how long things take, and its fast precisions.

And what a process must do to end with the one that started it.

Half the digits are half the bytes and, where a processor multiplies such numbers, more speed. Where it does not, they
are widened one by one: on a processor with AVX2 alone a product of bfloat16 matrices takes thirty times as long as one
of float32, a depthwise convolution forty times.
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SECONDS = 2.0  # between two looks whether the parent is still there
_CPUINFO = Path("/proc/cpuinfo")
# The widest vectors come first. Linux calls AVX-512 and ARM's NEON by these names.
_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "asimd": "NEON"}
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}  # and what torch calls them

# What `torch.cpu.get_capabilities` calls the instructions that multiply such numbers, on x86 and on ARM.
_INSTRUCTIONS = {
    "bf16": ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"),
    "fp16": ("avx512_fp16", "amx_fp16", "fp16_arith"),
}


def cores() -> int:
    """Cores that this process may use, which a container can limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def leave_with(parent: int) -> None:
    """End this process once its parent is gone: one that is killed cannot end what it started."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def processor(cpuinfo: Path = _CPUINFO) -> str:
    """Name the processor, its widest vectors, and whether it computes in bfloat16.

    Parameters
    ----------
    cpuinfo : Path
        Linux's description of the processors; on systems without it there is only a name.

    Returns
    -------
    str
        Such as "AMD EPYC, AVX2, no bfloat16"; "" where nothing is known.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    vectors = next((words for flag, words in _VECTORS.items() if flag in flags), None)
    if vectors is None:
        return name
    return f"{name}, {vectors}, {'bfloat16' if flags & _BFLOAT16 else 'no bfloat16'}"


def computes_in(precision: str, device: str = "cpu") -> bool:
    """Tell whether a device has instructions for a precision, so that it is no slower than float32.

    Parameters
    ----------
    precision : {"fp32", "bf16", "fp16"}
    device : str
        As torch names it: "cpu", "cuda", "cuda:0", "mps".

    Returns
    -------
    bool
        False, too, where torch (before 2.10) cannot say what the processor has.
    """
    if precision == "fp32":
        return True
    import torch

    if device.startswith("cuda"):
        return precision == "fp16" or torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return precision == "fp16"
    has: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(has.get(name, False) for name in _INSTRUCTIONS[precision])


def training_precision(device: str = "cpu") -> str:
    """Return "bf16" where the device computes in it, else "fp32": what a training run is fastest in.

    float16 is never chosen: small gradients vanish in its narrow range.
    """
    return "bf16" if computes_in("bf16", device) else "fp32"


def autocast(precision: str, device: str = "cpu") -> contextlib.AbstractContextManager[Any]:
    """Compute in a precision inside this context; in float32 nothing changes."""
    if precision == "fp32":
        return contextlib.nullcontext()
    import torch

    return torch.autocast(device.split(":")[0], dtype=getattr(torch, PRECISIONS[precision]))


def slower(precision: str) -> float:
    """Measure how many times as long as in float32 a core of this processor takes for products and convolutions."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where other work runs
    try:
        return _seconds(getattr(torch, PRECISIONS[precision])) / _seconds(torch.float32)
    finally:
        torch.set_num_threads(threads)


def warning(precision: str, device: str = "cpu") -> str:
    """Say in one sentence how slow a precision is on a device; "" where the device computes in it."""
    if computes_in(precision, device):
        return ""
    name = PRECISIONS[precision]
    if device != "cpu":
        return f"this {device} device has no arithmetic for {name}, so that it is slower than float32"
    times = slower(precision)
    return f"this processor has no arithmetic for {name}: it takes about {times:.2g} times as long as float32 here"


def _seconds(kind: torch.dtype) -> float:
    """CPU seconds of what image towers are made of: the fastest of three rounds, after one to get ready."""
    import torch

    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(1, 64, 14, 14, generator=generator).to(kind).contiguous(memory_format=torch.channels_last)
    across = torch.randn(64, 64, 1, 1, generator=generator).to(kind)
    depthwise = torch.randn(64, 1, 3, 3, generator=generator).to(kind)
    square = torch.randn(128, 128, generator=generator).to(kind)
    took = []
    with torch.inference_mode():
        for _ in range(4):
            start = time.process_time()
            torch.conv2d(torch.conv2d(maps, across), depthwise, padding=1, groups=64)
            _ = square @ square
            took.append(time.process_time() - start)
    return min(took[1:])
