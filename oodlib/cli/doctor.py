"""What a run needs, looked at one by one: interpreter, packages, pictures' sources, cache folder, weights."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

from oodlib.cache import home_folder, writable
from oodlib.errors import EXTRAS, OodlibError

_PACKAGES = ("torch", "torchvision", "open_clip_torch", "timm", "transformers", "onnxruntime", "numpy", "scikit-learn")
_FOR_PAGES = {"plots", "tuning", "train", "book"}  # extras
_FREE = 2e9  # bytes: drawn pictures, an assembled model and features take about 200 MB


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, whether it is fine, and what was found or what to do."""

    what: str
    fine: bool
    found: str


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _packages() -> str:
    try:
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    except importlib.metadata.PackageNotFoundError as error:
        raise OodlibError(f"the package {error.name} is missing: run `make setup`, or pip install it") from None


def _in_checkout() -> bool:
    """Whether the book can be made here: elsewhere nothing that only its pages need is missed."""
    from oodlib.experiments.profiles import project_root

    try:
        project_root()
    except OodlibError:
        return False
    return True


def _extras() -> str:
    missing = {extra for package, extra in EXTRAS.items() if find_spec(package) is None}
    if _in_checkout() and (wanted := missing & _FOR_PAGES):
        raise OodlibError(f"packages of the extra {min(wanted)} are missing: run `make setup`")
    words = [f"{extra} ({'missing' if extra in missing else 'here'})" for extra in dict.fromkeys(EXTRAS.values())]
    return ", ".join(words)


def _pictures() -> str:
    from oodlib.datasets.emoji_sources import HANDS, node_modules, version

    try:
        node_modules()
    except OodlibError:
        if _in_checkout():
            raise
        return "none, and only the book needs them"
    packages = [*(f"@iconify-json/{hand}" for hand in HANDS), "emojibase-data"]
    found = {package: version(package) for package in packages}
    lock = node_modules().parent / "package-lock.json"
    if lock.exists():
        pinned = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        for package, installed in found.items():
            wanted = pinned[f"node_modules/{package}"]["version"]
            if installed != wanted:
                raise OodlibError(f"{package} is {installed}, the lock file wants {wanted}: run `npm ci`")
    return f"{len(found)} npm packages, versions as pinned"


def _cache() -> str:
    folder = writable(home_folder())
    free = shutil.disk_usage(folder).free
    if free < _FREE:
        raise OodlibError(
            f"{folder} has {free / 1e9:.1f} GB left: free some space, or set OODLIB_HOME to another folder"
        )
    return f"{folder}, {free / 1e9:.0f} GB free"


def _model() -> str:
    from oodlib.pocket.assemble import assemble

    return f"PocketCLIP in {assemble().name}"


def _devices() -> str:
    """What torch should find, without waiting for torch: the driver is asked, and the build that is installed."""
    found = ["cpu"]
    if not importlib.metadata.version("torch").endswith("+cpu") and _cuda_devices():
        found.append("cuda")
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append("mps")
    return ", ".join(found)


def _cuda_devices() -> int:
    """GPUs that NVIDIA's driver tells of."""
    count = ctypes.c_int()
    try:
        driver = ctypes.CDLL("nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1")
        return count.value if driver.cuInit(0) == driver.cuDeviceGetCount(ctypes.byref(count)) == 0 else 0
    except OSError:
        return 0


_CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "Python packages": _packages,
    "extras": _extras,
    "picture sources": _pictures,
    "cache folder": _cache,
    "model": _model,
    "devices": _devices,
}


def examine() -> Iterator[Check]:
    """Run every check; a failing one holds the sentence that says what to do."""
    for what, look in _CHECKS.items():
        try:
            yield Check(what, True, look())
        except OodlibError as error:
            yield Check(what, False, str(error))
