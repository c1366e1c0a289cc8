"""CLIPN, agreeing to differ."""

from oodlib.arrays import Array, like
from oodlib.detectors._no import Clipn, agreeing_to_differ


class ClipnATD(Clipn):
    r"""How likely the picture shows any class, if every class may be refused with "no".

    .. math:: S(x) = \sum_{i \le C} p_i \frac{e^{s_i/\tau}}{\sum_{j \le C} e^{s_j/\tau}}, \qquad
        p_i = \frac{e^{s_i/\tau}}{e^{s_i/\tau} + e^{\bar{s}_i/\tau}}

    `s` are the cosines of an image with the names, :math:`\bar{s}` those with what a "no" text tower makes of the same
    names. One minus the sum is the probability of a class of its own, "none of these". Larger = more in-distribution.

    Parameters
    ----------
    temperature : float, default=0.01
        Divides the raw cosines, in both places: CLIP's own scale. `OLE` has 0.02.

    Attributes
    ----------
    no_text_ : tensor or array, shape (C, D)
        The "no" feature of each name.

    References
    ----------
    Wang et al., CLIPN for Zero-Shot OOD Detection: Teaching CLIP to Say No, ICCV 2023 (ATD, "agreeing-to-differ").

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> names = torch.eye(4)
    >>> concepts = Concepts(names=["cat", "dog"], text=names[:2], no_text=names[2:])
    >>> images = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.6, 0.0, 0.8, 0.0]])
    >>> detector = ClipnATD(temperature=1.0).fit(concepts)
    >>> detector.to_paper(detector.score_samples(images))
    tensor([0.6689, 0.4678])
    """

    def score_block(self, features: Array) -> Array:
        return agreeing_to_differ(self.cosines(features), features @ like(self.no_text_, features).T, self.temperature)
