"""The raw-label baseline: all outlier labels in one softmax, as they are."""

from oodlib.arrays import Array
from oodlib.detectors._outliers import OutlierDetector


class OutlierSoftmax(OutlierDetector):
    r"""How much of a softmax over classes and *all* outlier labels falls on the classes.

    .. math::

        S(x) = \frac{\sum_{i \le C} e^{s_i/\tau}}{\sum_{i \le C} e^{s_i/\tau} + \sum_{k \le K} e^{s^o_k/\tau}}

    with cosines :math:`s_i = v^\top t_i` to the classes and :math:`s^o_k = v^\top o_k` to the outlier labels. Nothing
    is mined and nothing is filtered: a synonym of a class among the labels takes the class's own pictures away. This
    is the score that methods with mined labels or prototypes are measured against; with the true names of the OOD
    classes as labels it is their upper bound. Larger = more in-distribution.

    Parameters
    ----------
    temperature : float, default=0.01
        Divides the raw cosine: CLIP's own scale.

    Attributes
    ----------
    outlier_text_ : tensor or array, shape (K, D)
        The outlier labels' text features, as given.
    outlier_names_ : tuple of str, length K

    Raises
    ------
    OodlibError
        If the concepts have no outlier labels.

    References
    ----------
    Fort et al., Exploring the Limits of Out-of-Distribution Detection, NeurIPS 2021, for the sum over a softmax.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(["cat"], torch.eye(3)[:1], outlier_names=["lynx", "bus"], outlier_text=torch.eye(3)[1:])
    >>> detector = OutlierSoftmax(temperature=1.0).fit(concepts)
    >>> detector.to_paper(detector.score_samples(torch.eye(3)[:2]))
    tensor([0.5761, 0.2119])
    """

    bounds = (0.0, 1.0)
    even_odds = 0.5

    def __init__(self, temperature: float = 0.01):
        self.temperature = temperature

    def score_block(self, features: Array) -> Array:
        return self.share_of_classes(features, self.temperature)
