"""SCALE: features scaled by how concentrated they are."""

import numpy as np

from oodlib.feature_detectors._shaping import ShapingDetector
from oodlib.feature_detectors.base import Array


class SCALE(ShapingDetector):
    r"""The energy of a feature stretched by how much of its sum lies in its strongest entries; nothing is pruned.

    .. math::

        S(z) = \log \sum_{k \le C} e^{w_k^\top z \, r(z) + b_k}, \qquad
        r(z) = \exp \frac{\sum_d z_d}{\sum_{d \in T(z)} z_d}

    where T are the :math:`D - \mathrm{round}(D q)` largest entries. Larger = more in-distribution.

    Parameters
    ----------
    quantile : float, default=0.85
        Share q of the entries that is left out of the lower sum, from 0 to below 1.
    negative : {"refuse", "clip"}, default="refuse"
        What to do about negative entries: activations behind a ReLU have none, and the sum of signed entries may be
        near 0 or negative. "clip" sets them to 0.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Notes
    -----
    Nothing is learned from the training features but `offset_`. The factor is *larger* for a feature that is spread
    out.

    References
    ----------
    Xu et al., Scaling for Training Time and Post-hoc Out-of-distribution Detection Enhancement, ICLR 2024; the defaults
    are OpenOOD's (scale_net.py, commit 3c35632).
    """

    def __init__(
        self,
        quantile: float = 0.85,
        negative: str = "refuse",
        *,
        weight: Array | None = None,
        bias: Array | None = None,
        contamination: float = 0.05,
    ):
        self.quantile = quantile
        self.negative = negative
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def _shape(self, X: Array) -> Array:
        strongest = np.partition(X, -self._kept(), axis=1)[:, -self._kept() :].sum(axis=1)
        # A feature of zeros stays one, whatever it is multiplied with.
        ratio = np.divide(X.sum(axis=1), strongest, out=np.zeros_like(strongest), where=strongest > 0)
        scaled: Array = X * np.exp(ratio)[:, None]
        return scaled
