"""Maximum logit."""

from oodlib.arrays import Array, largest
from oodlib.detectors.base import Detector


class MaxLogit(Detector):
    r"""The cosine of the best class.

    .. math:: S(x) = \max_{i \le C} s_i, \qquad s_i = v^\top t_i

    Logits are cosines times the model's logit scale; the factor changes no ranking, so it is left out here and scores
    lie between -1 and 1. Larger = more in-distribution.

    References
    ----------
    Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, ICML 2022.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(names=["cat", "dog"], text=torch.eye(2))
    >>> MaxLogit().fit(concepts).score_samples(torch.tensor([[1.0, 0.0], [0.7071, 0.7071]]))
    tensor([1.0000, 0.7071])
    """

    def score_block(self, features: Array) -> Array:
        return largest(self.cosines(features))
