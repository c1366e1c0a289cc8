"""Maximum concept matching."""

from oodlib.arrays import Array
from oodlib.detectors._log_odds import largest_share
from oodlib.detectors.base import Detector


class MCM(Detector):
    r"""How sure the model is that *one* of the known concepts matches.

    .. math:: S(x) = \max_{i \le C} \frac{e^{s_i/\tau}}{\sum_{j \le C} e^{s_j/\tau}}, \qquad s_i = v^\top t_i

    `v` is the L2-normalised image feature, `t_i` that of class i's text. Larger = more in-distribution.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides the *raw cosine*, not the cosine times the model's logit scale. At 1 / logit_scale (0.01 for CLIP) this
        is `MSP`. Beware of "temperature 1" elsewhere: some code applies it to cosines already multiplied by 100.

    References
    ----------
    Ming et al., Delving into Out-of-Distribution Detection with Vision-Language Representations, NeurIPS 2022, eq. 1.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(names=["cat", "dog"], text=torch.eye(2))
    >>> mcm = MCM().fit(concepts)
    >>> scores = mcm.score_samples(torch.tensor([[1.0, 0.0], [0.7071, 0.7071]]))
    >>> scores, mcm.to_paper(scores)
    (tensor([1., 0.]), tensor([0.7311, 0.5000]))
    """

    bounds = (0.0, 1.0)

    def __init__(self, temperature: float = 1.0):
        self.temperature = temperature

    def score_block(self, features: Array) -> Array:
        return largest_share(self.cosines(features) / self.temperature)
