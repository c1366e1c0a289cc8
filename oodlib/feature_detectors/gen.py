"""GEN: a generalised entropy of the softmax."""

import numpy as np
from scipy.special import softmax

from oodlib.errors import OodlibError
from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array


class GEN(HeadDetector):
    r"""How far the largest softmax probabilities are from 0 and 1, negated.

    .. math:: S(z) = -\sum_{k \le M} p_{(k)}^\gamma \, (1 - p_{(k)})^\gamma, \qquad p = \mathrm{softmax}(W z + b)

    over the M largest probabilities :math:`p_{(1)} \ge p_{(2)} \ge \dots` Larger = more in-distribution.

    Parameters
    ----------
    gamma : float, default=0.1
        Above 0; the smaller, the more a small probability counts.
    top : int, default=100
        Number M of probabilities; with fewer classes, all of them.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Notes
    -----
    Nothing is learned from the training features but `offset_`. At a small gamma, rounding matters: in single precision
    a probability within 6e-8 of 1 is 1 and adds 0, where 1e-8 to the power of 0.1 is 0.16. Here :math:`1 - p` is
    computed in double precision.

    References
    ----------
    Liu, Lochman and Zach, GEN: Pushing the Limits of Softmax-Based Out-of-Distribution Detection, CVPR 2023; the
    defaults are OpenOOD's (gen_postprocessor.py, commit 3c35632).
    """

    def __init__(
        self,
        gamma: float = 0.1,
        top: int = 100,
        *,
        weight: Array | None = None,
        bias: Array | None = None,
        contamination: float = 0.05,
    ):
        self.gamma = gamma
        self.top = top
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        if not (self.gamma > 0 and self.top >= 1):
            raise OodlibError(
                f"gamma is {self.gamma} and top is {self.top}: pass a gamma above 0 and at least 1 probability."
            )

    def score_block(self, X: Array) -> Array:
        largest = np.sort(softmax(self._logits(X), axis=1), axis=1)[:, -self.top :]
        score: Array = -((largest * (1 - largest)) ** self.gamma).sum(axis=1)
        return score
