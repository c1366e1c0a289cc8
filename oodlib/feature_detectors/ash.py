"""ASH-B: the strongest activations, all made equal."""

import numpy as np

from oodlib.feature_detectors._shaping import ShapingDetector
from oodlib.feature_detectors.base import Array


class ASH(ShapingDetector):
    r"""The energy of a feature whose strongest entries share its sum, while the others are set to 0.

    .. math::

        S(z) = \log \sum_{k \le C} e^{w_k^\top a(z) + b_k}, \qquad
        a_d(z) = \begin{cases} \frac1m \sum_e z_e & z_d \text{ is among the } m \text{ largest} \\
        0 & \text{otherwise} \end{cases}

    with :math:`m = D - \mathrm{round}(D q)`. Larger = more in-distribution.

    Parameters
    ----------
    quantile : float, default=0.9
        Share q of the entries that is set to 0, from 0 to below 1; at least one entry is kept.
    negative : {"refuse", "clip"}, default="refuse"
        What to do about negative entries: activations behind a ReLU have none, and the sum of signed entries may be
        near 0 or negative. "clip" sets them to 0.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Notes
    -----
    The variant is ASH-B, the one that OpenOOD runs. Nothing is learned from the training features but `offset_`. Of
    equal entries the first are kept.

    References
    ----------
    Djurisic et al., Extremely Simple Activation Shaping for Out-of-Distribution Detection, ICLR 2023; the defaults are
    OpenOOD's (ash_net.py, commit 3c35632).
    """

    def __init__(
        self,
        quantile: float = 0.9,
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
        kept = self._kept()
        strongest = np.argsort(-X, axis=1, kind="stable")[:, :kept]
        shaped = np.zeros_like(X)
        np.put_along_axis(shaped, strongest, X.sum(axis=1, keepdims=True) / kept, axis=1)
        return shaped
