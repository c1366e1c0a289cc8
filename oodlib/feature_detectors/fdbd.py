"""fDBD: how far a feature is from the decision boundaries."""

import numpy as np

from oodlib.errors import OodlibError
from oodlib.feature_detectors._head import HeadDetector
from oodlib.feature_detectors.base import Array


class FDBD(HeadDetector):
    r"""Distances from a feature to the boundaries of the predicted class, over its distance to the training mean.

    .. math::

        S(z) = \frac{1}{\lVert z - \mu \rVert} \sum_{k \ne y} \frac{|l_y - l_k|}{\lVert w_y - w_k \rVert}, \qquad
        l = W z + b, \quad y = \arg\max_k l_k

    Larger = more in-distribution.

    Parameters
    ----------
    distance_as_normalizer : bool, default=True
        Whether to divide by the distance to the training mean, as above, or by the feature's length.
    weight, bias : array, shapes (C, D) and (C,)
        The classification head, with at least two classes, no two of the same weight; for a vision-language model
        ``logit_scale * text`` and zeros.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    mean_ : array, shape (D,)
        Mean of the training features.
    between_ : array, shape (C, C)
        Distances between the rows of the weight, with 1 on the diagonal.

    Notes
    -----
    OpenOOD sums over the other classes, as here; a mean over them ranks the same. Scaling the head changes nothing,
    except through the bias.

    References
    ----------
    Liu and Qin, Fast Decision Boundary based Out-of-Distribution Detector, ICML 2024; the defaults are OpenOOD's
    (fdbd_postprocessor.py, commit 3c35632).
    """

    mean_: Array
    between_: Array

    def __init__(
        self,
        distance_as_normalizer: bool = True,
        *,
        weight: Array | None = None,
        bias: Array | None = None,
        contamination: float = 0.05,
    ):
        self.distance_as_normalizer = distance_as_normalizer
        self.weight = weight
        self.bias = bias
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        super().learn(X, labels)
        if len(self.weight_) < 2:
            raise OodlibError("FDBD measures distances to boundaries between classes: pass a head of at least two.")
        # One row at a time: all differences at once would hold C x C x D numbers.
        self.between_ = np.stack([np.linalg.norm(self.weight_ - row, axis=1) for row in self.weight_])
        np.fill_diagonal(self.between_, 1)
        if not self.between_.all():
            first, second = np.argwhere(self.between_ == 0)[0]
            raise OodlibError(
                f"classes {first} and {second} have the same weight, so no boundary lies between them: leave one out."
            )
        self.mean_ = X.mean(axis=0)

    def score_block(self, X: Array) -> Array:
        logits = self._logits(X)
        best = logits.argmax(axis=1)
        gaps = logits.max(axis=1, keepdims=True) - logits
        lengths = np.linalg.norm(X - self.mean_ if self.distance_as_normalizer else X, axis=1)
        tiny = np.finfo(np.float64).eps  # a feature that is the mean itself gets a large score, not an infinite one
        score: Array = (gaps / self.between_[best]).sum(axis=1) / np.maximum(lengths, tiny)
        return score
