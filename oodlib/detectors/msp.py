"""Maximum softmax probability."""

from oodlib.arrays import Array
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import largest_share
from oodlib.detectors.base import Detector


class MSP(Detector):
    r"""The probability of the best class, as the model itself would print it.

    .. math:: S(x) = \max_{i \le C} \frac{e^{\kappa s_i}}{\sum_{j \le C} e^{\kappa s_j}}, \qquad s_i = v^\top t_i

    :math:`\kappa` is the model's own logit scale (100 for CLIP). This is `MCM` at temperature :math:`1/\kappa`, and so
    it has no temperature of its own. Larger = more in-distribution.

    Attributes
    ----------
    temperature_ : float
        ``1 / logit_scale`` of the concepts.

    References
    ----------
    Hendrycks & Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks,
    ICLR 2017.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(names=["cat", "dog"], text=torch.eye(2))
    >>> msp = MSP().fit(concepts)
    >>> scores = msp.score_samples(torch.tensor([[0.714, 0.7], [0.7071, 0.7071]]))
    >>> scores, msp.to_paper(scores)
    (tensor([1.4000, 0.0000]), tensor([0.8022, 0.5000]))
    """

    bounds = (0.0, 1.0)

    temperature_: float

    def learn(self, concepts: Concepts) -> None:
        self.temperature_ = 1 / concepts.logit_scale

    def score_block(self, features: Array) -> Array:
        return largest_share(self.cosines(features) / self.temperature_)
