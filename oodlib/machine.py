"""What this machine has: cores, and the processor in the words that decide how long things take."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# The widest vectors come first. Linux calls AVX-512 and ARM's NEON by these names.
_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2", "avx": "AVX", "sve": "SVE", "asimd": "NEON"}
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}


def cores() -> int:
    """Cores that this process may use, which a container can limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    flags = set((told.get("flags") or told.get("Features") or "").split())
    name = told.get("model name") or platform.processor() or platform.machine()
    vectors = next((words for flag, words in _VECTORS.items() if flag in flags), None)
    if vectors is None:
        return name
    return f"{name}, {vectors}, {'bfloat16' if flags & _BFLOAT16 else 'no bfloat16'}"
