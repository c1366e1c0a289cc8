"""What methods with a "no" text tower share."""

from typing import ClassVar

from oodlib.arrays import Array, log_softmax
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import mean_share
from oodlib.detectors.base import Detector


def yes_odds(cosines: Array, no_cosines: Array, temperature: float) -> Array:
    r"""Ask of each class alone whether the picture shows it, its name against "no" and its name: (N, C) -> (N, C).

    .. math:: \log \frac{p_i}{1 - p_i} = \frac{s_i - \bar{s}_i}{\tau}, \qquad
        p_i = \frac{e^{s_i/\tau}}{e^{s_i/\tau} + e^{\bar{s}_i/\tau}}

    Parameters
    ----------
    cosines, no_cosines : tensor or array, shape (N, C)
        Cosines of pictures with the feature of each name, and with its "no" feature.
    temperature : float
        Divides the raw cosines.
    """
    return (cosines - no_cosines) / temperature


def agreeing_to_differ(cosines: Array, no_cosines: Array, temperature: float) -> Array:
    r"""Average the answers of all classes, each as likely as the softmax says: twice (N, C) -> (N,).

    .. math:: \sum_{i \le C} p_i \frac{e^{s_i/\tau}}{\sum_{j \le C} e^{s_j/\tau}}

    with p from `yes_odds`; returned are the log-odds of the sum.
    """
    return mean_share(yes_odds(cosines, no_cosines, temperature), log_softmax(cosines / temperature))


class Clipn(Detector):
    """What CLIPN's two scores share: the temperature, and the "no" features that `fit` asks for."""

    requires: ClassVar[tuple[str, ...]] = ("no_text",)
    bounds = (0.0, 1.0)
    even_odds = 0.5

    no_text_: Array

    def __init__(self, temperature: float = 0.01):
        self.temperature = temperature

    def learn(self, concepts: Concepts) -> None:
        self.no_text_ = concepts.require("no_text", by=type(self).__name__)

    def labels_compared(self) -> int:
        return len(self.text_) + len(self.no_text_)
