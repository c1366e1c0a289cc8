"""GradNorm: how far the head would move to make all classes equally likely."""

import numpy as np
from scipy.special import softmax

from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array


class GradNorm(HeadDetector):
    r"""The sum of absolute entries of the gradient, with respect to W, of the cross entropy to equal shares.

    .. math::

        S(z) = \Big\lVert \frac{\partial}{\partial W} \sum_{k \le C} -\log p_k \Big\rVert_1
        = \sum_{k \le C} |1 - C p_k| \; \sum_{d \le D} |z_d|, \qquad p = \mathrm{softmax}(W z + b)

    Larger = more in-distribution: a classifier that is sure is far from equal shares.

    Parameters
    ----------
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Notes
    -----
    The gradient is an outer product, so its norm is a product and no gradient has to be computed. With L2-normalised
    features the second factor tells little, and the score is close to one of the softmax alone. The paper divides by
    C, which changes no order.

    References
    ----------
    Huang, Geng and Li, On the Importance of Gradients for Detecting Distributional Shifts in the Wild, NeurIPS 2021, as
    in MOODv2's benchmark (dvlab-research/MOOD, benchmark.py, commit 06be45f).

    Examples
    --------
    >>> detector = GradNorm(weight=[[1.0, 0.0], [0.0, 1.0]], bias=[0.0, 0.0]).fit([[1.0, 0.0], [0.0, 1.0]])
    >>> detector.score_samples([[1.0, 1.0], [50.0, 0.0]]).tolist()
    [0.0, 100.0]
    """

    def __init__(self, *, weight: Array | None = None, bias: Array | None = None, contamination: float = 0.05):
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def score_block(self, X: Array) -> Array:
        shares = softmax(self._logits(X), axis=1)
        score: Array = np.abs(1 - shares.shape[1] * shares).sum(axis=1) * np.abs(X).sum(axis=1)
        return score
