"""What a block of features must look like before anything is computed from it."""

from typing import Any

import torch
from torch import Tensor

from oodlib.errors import OodlibError

NORM_TOLERANCE = 1e-3  # generous: features kept in half precision still pass


def as_matrix(values: Any, what: str) -> Tensor:
    """Return `values` as a floating-point tensor of shape (N, D), or say what is wrong with it."""
    try:
        matrix = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OodlibError(
            f"{what} must be a tensor or an array of shape (N, D), not {type(values).__name__}."
        ) from error
    if matrix.ndim != 2:
        raise OodlibError(f"{what} has shape {tuple(matrix.shape)}: pass a matrix of shape (N, D), one feature a row.")
    if not matrix.is_floating_point():
        raise OodlibError(f"{what} holds {str(matrix.dtype).removeprefix('torch.')}: pass floating-point features.")
    return matrix


def check_normalised(features: Tensor, what: str) -> None:
    """Raise unless every row of `features` (N, D) is finite and has length 1, to within `NORM_TOLERANCE`."""
    norms = torch.linalg.vector_norm(features, dim=1, dtype=torch.promote_types(features.dtype, torch.float32))
    bad = (~norms.isfinite()).nonzero()
    if len(bad):
        raise OodlibError(
            f"{what} has NaN or infinite values in {len(bad)} rows, the first is row {int(bad[0])}: leave those rows "
            "out or encode them again."
        )
    if len(norms) and float((norms - 1).abs().max()) > NORM_TOLERANCE:
        raise OodlibError(
            f"{what} is not L2-normalised (lengths {float(norms.min()):.4g} to {float(norms.max()):.4g}): divide each "
            "row by its length, as torch.nn.functional.normalize does."
        )
