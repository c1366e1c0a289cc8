"""The classes of a training set, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodlib.errors import OodlibError


def numbered(labels: Any, count: int) -> tuple[NDArray[Any], Tensor]:
    """The classes (C,) in order, and the place of each label among them, int64 (N,).

    Parameters
    ----------
    labels : array or sequence
        `count` strings, or numbers from 0 up: a negative one marks what has no class.
    count : int
        How many rows there are.

    Raises
    ------
    OodlibError
        If there is not one label for each row, one is no class, or there is one class only.

    Examples
    --------
    >>> numbered(["food", "animal", "food"], 3)[1]
    tensor([1, 0, 1])
    """
    given = np.asarray(labels)
    if given.shape != (count,):
        raise OodlibError(f"there are {count} rows and {given.size} labels: pass one for each row")
    if given.dtype.kind == "O":
        good = np.array([isinstance(label, str) for label in given])
    else:  # NaN is not 0 or larger, either
        good = np.ones(count, bool) if given.dtype.kind in "US" else given >= 0
    if not good.all():
        row = int(np.argmin(good))
        raise OodlibError(f"label {given[row]!r} of row {row} is no class: pass a string, or a number from 0 up")
    classes, places = np.unique(given.astype(str) if given.dtype.kind == "O" else given, return_inverse=True)
    if len(classes) < 2:
        raise OodlibError("there is one class only: a classifier needs texts of two")
    return classes, torch.from_numpy(places.astype(np.int64))
