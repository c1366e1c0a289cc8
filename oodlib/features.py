"""What a block of features must look like before anything is computed from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from oodlib.arrays import Array, as_numpy, is_tensor, namespace, widen
from oodlib.errors import OodlibError

NORM_TOLERANCE = 1e-3  # generous: features kept in half precision still pass


def as_matrix(values: Any, what: str) -> Array:
    """Return `values` as floating-point numbers of shape (N, D), or say what is wrong with them.

    A tensor stays a tensor; everything else, such as a list of rows, becomes a NumPy array.
    """
    try:
        matrix: Array = values if is_tensor(values) else np.asarray(values)
        numbers = is_tensor(values) or matrix.dtype.kind in "biufc"
    except (TypeError, ValueError, RuntimeError):
        numbers = False
    if not numbers:
        raise OodlibError(f"{what} must be a tensor or an array of shape (N, D), not {type(values).__name__}.")
    if matrix.ndim != 2:
        raise OodlibError(f"{what} has shape {tuple(matrix.shape)}: pass a matrix of shape (N, D), one feature a row.")
    if not (matrix.is_floating_point() if is_tensor(matrix) else matrix.dtype.kind == "f"):
        raise OodlibError(f"{what} holds {str(matrix.dtype).removeprefix('torch.')}: pass floating-point features.")
    return matrix


def check_normalised(features: Array, what: str) -> None:
    """Raise unless every row of `features` (N, D) is finite and has length 1, to within `NORM_TOLERANCE`."""
    norms = as_numpy(lengths(features))
    bad = np.flatnonzero(~np.isfinite(norms))
    if len(bad):
        raise OodlibError(
            f"{what} has NaN or infinite values in {len(bad)} rows, the first is row {bad[0]}: leave those rows "
            "out or encode them again."
        )
    if len(norms) and np.abs(norms - 1).max() > NORM_TOLERANCE:
        raise OodlibError(
            f"{what} is not L2-normalised (lengths {norms.min():.4g} to {norms.max():.4g}): divide each "
            "row by its length, as torch.nn.functional.normalize does."
        )


def lengths(features: Array) -> Array:
    """The length of each row, in float32 at least: (N, D) -> (N,)."""
    xp = namespace(features)
    if is_tensor(features):  # without a wider copy of half precision
        return xp.linalg.vector_norm(features, dim=1, dtype=xp.promote_types(features.dtype, xp.float32))
    return xp.linalg.norm(widen(features), axis=1)
