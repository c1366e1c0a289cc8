"""What methods with a "no" text tower share."""

import math
from typing import ClassVar, Self

from oodlib.arrays import Array, sigmoid, softmax
from oodlib.concepts import Concepts
from oodlib.detectors.base import Detector
from oodlib.errors import OodlibError


def yes_probability(cosines: Array, no_cosines: Array, scale: float) -> Array:
    r"""Ask of each class alone whether the picture shows it, its name against "no" and its name: (N, C) -> (N, C).

    .. math:: p_i = \frac{e^{\kappa s_i}}{e^{\kappa s_i} + e^{\kappa \bar{s}_i}}

    Parameters
    ----------
    cosines, no_cosines : tensor or array, shape (N, C)
        Cosines of pictures with the feature of each name, and with its "no" feature.
    scale : float
        The factor kappa on the cosines.
    """
    return sigmoid(scale * (cosines - no_cosines))


def agreeing_to_differ(cosines: Array, no_cosines: Array, scale: float) -> Array:
    r"""Average the answers of all classes, each as likely as the softmax says: twice (N, C) -> (N,).

    .. math:: \sum_{i \le C} p_i \frac{e^{\kappa s_i}}{\sum_{j \le C} e^{\kappa s_j}}

    with p from `yes_probability`.
    """
    return (yes_probability(cosines, no_cosines, scale) * softmax(scale * cosines)).sum(-1)


def check_scale(scale: float, by: object) -> None:
    """Refuse a factor on the cosines that is not a number above 0."""
    if not 0 < scale < math.inf:
        raise OodlibError(f"{by!r}: the scale multiplies cosines, so it must be a number above 0.")


class Clipn(Detector):
    """What CLIPN's two scores share: the factor on the cosines, and the "no" features that `fit` asks for."""

    requires: ClassVar[tuple[str, ...]] = ("no_text",)
    even_odds = 0.5

    no_text_: Array

    def __init__(self, scale: float = 100.0):
        self.scale = scale

    def fit(self, concepts: Concepts) -> Self:
        super().fit(concepts)
        check_scale(self.scale, self)
        self.no_text_ = concepts.require("no_text", by=type(self).__name__)
        return self

    def labels_compared(self) -> int:
        return len(self.text_) + len(self.no_text_)
