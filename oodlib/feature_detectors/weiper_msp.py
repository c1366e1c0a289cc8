"""WeiPer's maximum softmax probability."""

import numpy as np

from oodlib.feature_detectors._weiper import WeiPerDetector, mean_max_softmax
from oodlib.feature_detectors.base import Array


class WeiPerMSP(WeiPerDetector):
    r"""The maximum softmax probability, averaged over copies of the head with perturbed weights.

    .. math::

        S(z) = \frac1r \sum_{i \le r} \max_{c \le C} \mathrm{softmax}(W_i z + b)_c, \qquad
        (W_i)_c = w_c + \delta \lVert w_c \rVert \frac{n_{ic}}{\lVert n_{ic} \rVert}

    with normal noise n. Larger = more in-distribution.

    Parameters
    ----------
    repeats : int, default=100
        Number r of copies.
    delta : float, default=1.8
        Length of the noise, in lengths of the class weight it is added to; at 0 this is the maximum softmax
        probability.
    random_state : int, RandomState or None, default=0
        Of the noise, drawn once, in `fit`.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    perturbed_ : array, shape (repeats * C, D)
        The copies' weights, one copy after the other.

    Notes
    -----
    It keeps repeats * C * D numbers and computes repeats * C logits a row: 100,000 for 1,000 classes.

    References
    ----------
    Granz, Heurich and Landgraf, WeiPer: OOD Detection using Weight Perturbations of Class Projections, NeurIPS 2024;
    the defaults are the authors' for CIFAR-10 (mgranz/weiper, commit 1c27a4f).
    """

    def __init__(
        self,
        repeats: int = 100,
        delta: float = 1.8,
        random_state: int | np.random.RandomState | None = 0,
        *,
        weight: Array | None = None,
        bias: Array | None = None,
        contamination: float = 0.05,
    ):
        self.repeats = repeats
        self.delta = delta
        self.random_state = random_state
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def score_block(self, X: Array) -> Array:
        return mean_max_softmax(self._space(X), len(self.weight_))
