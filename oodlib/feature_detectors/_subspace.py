"""What ViM and Residual share: the directions in which training features hardly lie."""

import numpy as np

from oodlib.errors import OodlibError
from oodlib.feature_detectors.base import Array


def residual_space(X: Array, dim: int | None) -> Array:
    """Return an orthonormal basis of what is left besides the principal space of `X`: (N, D) -> (D, D - dim).

    Parameters
    ----------
    X : array, shape (N, D)
        Features minus the origin; the principal space is that of their second moments, uncentred.
    dim : int or None
        Dimension of the principal space; None takes 256 but no more than half of the columns, nor of the rows, so that
        some of what the rows themselves are is left.
    """
    columns = X.shape[1]
    if dim is None:
        dim = min(256, columns // 2, len(X) // 2)
    if not 0 <= dim < columns:
        raise OodlibError(
            f"dim is {dim} for features of {columns} columns: pass a number from 0 to {columns - 1}, or None."
        )
    _, vectors = np.linalg.eigh(X.T @ X)  # eigenvalues rise
    basis: Array = vectors[:, : columns - dim]
    return basis
