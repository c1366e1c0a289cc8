"""The "unknown" candidate: words for "none of these" besides the class names."""

from typing import ClassVar

from oodlib.arrays import Array
from oodlib.concepts import Concepts
from oodlib.detectors._outliers import OutlierDetector


class Unknown(OutlierDetector):
    r"""How much of a softmax falls on the classes when "unknown object" is one more candidate.

    .. math::

        S(x) = \frac{\sum_{i \le C} e^{s_i/\tau}}{\sum_{i \le C} e^{s_i/\tau} + \sum_{k \le K} e^{u_k/\tau}}

    with cosines :math:`s_i = v^\top t_i` to the classes and :math:`u_k` to a few generic texts. One minus the score is
    the probability of "unknown". Larger = more in-distribution.

    The formula is that of `OutlierSoftmax`; the idea is another. There an outlier label names a thing that a picture
    may show. Here the text is meant to name *whatever has no name*, and that is the method's weakness: an encoder
    places "unknown object" somewhere among its texts, by what pictures with such captions look like, and a picture of a
    lynx is nearer to "cat" than to that place. Where the :math:`u_k` hardly differ between pictures, the score is a
    monotone function of `Energy` at the same temperature: the words then only say where to cut, and how many words
    there are moves the cut.

    Parameters
    ----------
    temperature : float or None, default=None
        Divides the raw cosine; None takes the model's own, 1 / logit_scale, so that the score is what a zero-shot
        classifier with the extra candidates would report.

    Attributes
    ----------
    outlier_text_ : tensor or array, shape (K, D)
        Text features of the words.
    outlier_names_ : tuple of str, length K
    temperature_ : float
        The temperature in use.
    default_words : tuple of str
        What `oodlib.detect` passes as outlier labels where a person names none.

    Raises
    ------
    OodlibError
        If the concepts have no outlier labels: the words are passed as such.

    References
    ----------
    The background or "unknown" class of open-set recognition; Esmaeilpour et al., Zero-Shot Out-of-Distribution
    Detection Based on the Pre-trained Model CLIP, AAAI 2022, sum the softmax over candidates the same way (with
    candidates that a captioner proposes for each picture).

    Examples
    --------
    >>> import torch
    >>> concepts = Concepts(["cat"], torch.eye(2)[:1], ["unknown object"], torch.eye(2)[1:], logit_scale=1.0)
    >>> detector = Unknown().fit(concepts)
    >>> detector.to_paper(detector.score_samples(torch.tensor([[1.0, 0.0], [0.7071, 0.7071]])))
    tensor([0.7311, 0.5000])
    """

    bounds = (0.0, 1.0)
    even_odds = 0.5
    default_words: ClassVar[tuple[str, ...]] = ("unknown object", "something else")

    temperature_: float

    def __init__(self, temperature: float | None = None):
        self.temperature = temperature

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        self.temperature_ = 1 / concepts.logit_scale if self.temperature is None else self.temperature

    def score_block(self, features: Array) -> Array:
        return self.share_of_classes(features, self.temperature_)
