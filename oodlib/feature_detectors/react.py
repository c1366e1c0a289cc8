"""ReAct: features cut off at a high quantile."""

import numpy as np

from oodlib.feature_detectors._shaping import ShapingDetector
from oodlib.feature_detectors.base import Array


class ReAct(ShapingDetector):
    r"""The energy after unusually strong activations were cut off.

    .. math:: S(z) = \log \sum_{k \le C} e^{w_k^\top \min(z, c) + b_k}

    where c is a quantile of *all* entries of the features it was fitted to. Larger = more in-distribution.

    Parameters
    ----------
    quantile : float, default=0.9
        Which quantile c is, from 0 to below 1.
    negative : {"refuse", "clip", "keep"}, default="refuse"
        What to do about negative entries: activations behind a ReLU have none. "clip" sets them to 0, before c is
        taken; "keep" leaves them as they are, as MOODv2 does with features of transformers.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head; for a vision-language model ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    cut_ : float
        The value c.

    Notes
    -----
    OpenOOD takes the quantile of held-out in-distribution features, so fit to those, not to what the head was trained
    on.

    References
    ----------
    Sun, Guo and Li, ReAct: Out-of-distribution Detection With Rectified Activations, NeurIPS 2021; the defaults are
    OpenOOD's (react_postprocessor.py, commit 3c35632).
    """

    ways = ("refuse", "clip", "keep")

    cut_: float

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

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        self.cut_ = float(np.quantile(self._rectified(X), self.quantile))

    def _shape(self, X: Array) -> Array:
        return np.minimum(X, self.cut_)
