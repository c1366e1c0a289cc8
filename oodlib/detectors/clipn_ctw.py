"""CLIPN, competing to win."""

from oodlib.arrays import Array, like, pick
from oodlib.detectors._no import Clipn, yes_odds


class ClipnCTW(Clipn):
    r"""Whether the picture shows the class that matches best, asked with "no" and the name as the only other answer.

    .. math:: S(x) = p_{i^*}, \qquad i^* = \arg\max_{i \le C} s_i, \qquad
        p_i = \frac{e^{s_i/\tau}}{e^{s_i/\tau} + e^{\bar{s}_i/\tau}}

    `s` are the cosines of an image with the names, :math:`\bar{s}` those with what a "no" text tower makes of the same
    names. Larger = more in-distribution. The best class wins on `s` alone, the other classes have no further say.

    Parameters
    ----------
    temperature : float, default=0.01
        Divides the raw cosines: CLIP's own scale. It changes no ranking, but how soon S comes near 0 or 1.

    Attributes
    ----------
    no_text_ : tensor or array, shape (C, D)
        The "no" feature of each name.

    References
    ----------
    Wang et al., CLIPN for Zero-Shot OOD Detection: Teaching CLIP to Say No, ICCV 2023 (CTW, "competing-to-win").

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> names = torch.eye(4)
    >>> concepts = Concepts(names=["cat", "dog"], text=names[:2], no_text=names[2:])
    >>> images = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.6, 0.0, 0.8, 0.0]])
    >>> detector = ClipnCTW(temperature=1.0).fit(concepts)
    >>> detector.to_paper(detector.score_samples(images))
    tensor([0.7311, 0.4502])
    """

    def score_block(self, features: Array) -> Array:
        cosines = self.cosines(features)
        yes = yes_odds(cosines, features @ like(self.no_text_, features).T, self.temperature)
        return pick(yes, cosines.argmax(-1))
