"""How far a feature is from the space that the training features span."""

from typing import Any

import numpy as np

from oodlib.arrays import as_numpy, plain
from oodlib.errors import OodlibError
from oodlib.feature_detectors._subspace import residual_space
from oodlib.feature_detectors.base import Array, FeatureDetector


class Residual(FeatureDetector):
    r"""The length of the part of a feature outside the principal space of the training set, negated.

    .. math:: S(z) = -\lVert R^\top (z - u) \rVert

    where the columns of R are the eigenvectors of :math:`\sum_i (z_i - u)(z_i - u)^\top` beyond the `dim` largest
    eigenvalues. Larger = more in-distribution.

    Parameters
    ----------
    dim : int or None, default=None
        Dimension of the principal space. None takes 256, as OpenOOD's ViM does, but no more than half of the columns,
        nor of the rows.
    origin : array, shape (D,), or None, default=None
        The point u. None is the zero vector, which for a head without bias is ViM's origin; with a bias that is
        ``-numpy.linalg.pinv(weight) @ bias``.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    origin_ : array, shape (D,)
        The point u.
    residual_ : array, shape (D, D - dim)
        The matrix R.

    Notes
    -----
    With no more rows than `dim` all training features lie in the principal space and score 0; other features still
    differ, but `offset_` is of no use.

    References
    ----------
    Wang et al., ViM: Out-Of-Distribution with Virtual-logit Matching, CVPR 2022, where it is a part of ViM.
    """

    origin_: Array
    residual_: Array

    def __init__(self, dim: int | None = None, origin: Any = None, *, contamination: float = 0.05):
        self.dim = dim
        self.origin = origin
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        self.origin_ = np.zeros(X.shape[1]) if self.origin is None else as_numpy(plain(self.origin, "origin"))
        if self.origin_.shape != X.shape[1:] or not np.isfinite(self.origin_).all():
            raise OodlibError(f"origin must be a finite point of shape ({X.shape[1]},), like a row of X.")
        self.residual_ = residual_space(X - self.origin_, self.dim)

    def score_block(self, X: Array) -> Array:
        score: Array = -np.linalg.norm((X - self.origin_) @ self.residual_, axis=1)
        return score
