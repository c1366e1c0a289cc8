"""The scores that MOODv2 compares, with its choices; and those of a head's logits that no other table needs.

The three on logits are `MSP`, `MaxLogit` and `Energy` of `oodlib.detectors` for a head with a bias and features of any
length. A vision-language model has those already, so they have no name in this package.
"""

from typing import Any

import numpy as np

from oodlib.detectors._log_odds import largest_share
from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array, FeatureDetector
from oodlib.feature_detectors.grad_norm import GradNorm
from oodlib.feature_detectors.kl_matching import KLMatching
from oodlib.feature_detectors.mahalanobis import Mahalanobis
from oodlib.feature_detectors.react import ReAct
from oodlib.feature_detectors.residual import Residual
from oodlib.feature_detectors.vim import ViM


class HeadMSP(HeadDetector):
    r"""The odds of the most likely class, :math:`\log p - \log(1 - p)`; they rank as its probability does."""

    def __init__(self, *, weight: Array | None = None, bias: Array | None = None, contamination: float = 0.05):
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def score_block(self, X: Array) -> Array:
        odds: Array = largest_share(self._logits(X))
        return odds


class HeadMaxLogit(HeadMSP):
    """The largest logit."""

    def score_block(self, X: Array) -> Array:
        largest: Array = self._logits(X).max(axis=1)
        return largest


class HeadEnergy(HeadMSP):
    """The negative free energy."""

    def score_block(self, X: Array) -> Array:
        return self._energy(X)


def mood_v2(weight: Array, bias: Array, rows: int | None = None) -> dict[str, FeatureDetector]:
    """The nine detectors of MOODv2's benchmark, not fitted yet: fit each to training features *and their classes*.

    They differ from the defaults here, which follow OpenOOD, in four ways: features as they come, not normalised;
    ReAct cuts at the 0.99 quantile of the training features and leaves negative entries as they are; the principal
    space has 512 dimensions for 768 columns or more, one for each class from 2,048 columns on, and half of the columns
    below 768; the covariance is never shrunk.

    Parameters
    ----------
    weight, bias : array, shapes (C, D) and (C,)
        The classification head.
    rows : int, optional
        How many training features there will be: the principal space has at most half as many dimensions, or nothing
        would lie outside it. With the 200,000 of MOODv2 that changes nothing.

    Returns
    -------
    dict of str to FeatureDetector
        `msp`, `max_logit`, `energy`, `react`, `vim`, `residual`, `grad_norm`, `mahalanobis`, `kl_matching`.

    References
    ----------
    Li et al., MOODv2: Masked Image Modeling for Out-of-Distribution Detection, TPAMI 2024; benchmark.py of
    dvlab-research/MOOD, commit 06be45f. All here is in float64: where the rows of `weight` are linearly dependent, the
    origin of ViM means nothing in the float32 of the released code.
    """
    weight, bias = np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)
    classes, columns = weight.shape
    dim = classes if columns >= 2048 else 512 if columns >= 768 else columns // 2
    dim = dim if rows is None else min(dim, rows // 2)
    head: dict[str, Any] = {"weight": weight, "bias": bias}
    return {
        "msp": HeadMSP(**head),
        "max_logit": HeadMaxLogit(**head),
        "energy": HeadEnergy(**head),
        "react": ReAct(0.99, "keep", **head),
        "vim": ViM(dim, **head),
        "residual": Residual(dim, -np.linalg.pinv(weight) @ bias),
        "grad_norm": GradNorm(**head),
        "mahalanobis": Mahalanobis(0.0),
        "kl_matching": KLMatching(**head),
    }
