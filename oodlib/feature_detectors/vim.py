"""ViM: the residual as the logit of one more class."""

import numpy as np

from oodlib.errors import OodlibError
from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors._subspace import residual_space
from oodlib.feature_detectors.base import Array


class ViM(HeadDetector):
    r"""The energy of the classes minus a virtual logit, the length of the feature's residual on the logits' scale.

    .. math::

        S(z) = \log \sum_{k \le C} e^{l_k} - \alpha \lVert R^\top (z - u) \rVert, \qquad l = W z + b, \quad
        u = -W^+ b, \quad \alpha = \frac{\sum_i \max_k l_k(z_i)}{\sum_i \lVert R^\top (z_i - u) \rVert}

    R is that of `Residual`, about the origin u, and the sums run over training features. Larger = more in-distribution.

    Parameters
    ----------
    dim : int or None, default=None
        Dimension of the principal space. None takes 256, as OpenOOD does, but no more than half of the columns,
        nor of the rows.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros, so that u = 0.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    origin_ : array, shape (D,)
        The point u.
    residual_ : array, shape (D, D - dim)
        The matrix R.
    alpha_ : float
        What makes lengths of residuals as large as maximum logits.

    Notes
    -----
    If the rows of `weight` are linearly dependent (a plain softmax regression's sum to 0), u depends on where the
    pseudo-inverse cuts off small singular values, and so on the precision.

    References
    ----------
    Wang et al., ViM: Out-Of-Distribution with Virtual-logit Matching, CVPR 2022; as in OpenOOD (vim_postprocessor.py,
    commit 3c35632).
    """

    origin_: Array
    residual_: Array
    alpha_: float

    def __init__(
        self,
        dim: int | None = None,
        *,
        weight: Array | None = None,
        bias: Array | None = None,
        contamination: float = 0.05,
    ):
        self.dim = dim
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        self.origin_ = -np.linalg.pinv(self.weight_) @ self.bias_
        self.residual_ = residual_space(X - self.origin_, self.dim)
        # Without any residual there is no scale: rounding leaves 1e-12 of a row's length, data far more than 1e-9.
        length = self._lengths(X).mean()
        if length <= 1e-9 * np.linalg.norm(X - self.origin_, axis=1).mean():
            raise OodlibError(
                f"ViM finds no residual: the {len(X)} rows lie in a space of {X.shape[1] - self.residual_.shape[1]} "
                "dimensions, so pass more rows or a smaller dim."
            )
        largest = sum(self._logits(block).max(axis=1).sum() for block in self._blocks(X))
        self.alpha_ = float(largest / len(X) / length)

    def _lengths(self, X: Array) -> Array:
        lengths: Array = np.linalg.norm((X - self.origin_) @ self.residual_, axis=1)
        return lengths

    def score_block(self, X: Array) -> Array:
        return self._energy(X) - self.alpha_ * self._lengths(X)
