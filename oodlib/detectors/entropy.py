"""Negative entropy."""

import math

from oodlib.arrays import Array
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import log_divergence, log_entropy
from oodlib.detectors.base import Detector
from oodlib.errors import OodlibError


class Entropy(Detector):
    r"""How far the model is from being undecided between the concepts.

    .. math:: S(x) = \sum_{i \le C} p_i \log p_i, \qquad p = \mathrm{softmax}(s / \tau), \quad s_i = v^\top t_i

    This is the *negative* entropy in nats, between :math:`-\log C` and 0. Larger = more in-distribution.

    Parameters
    ----------
    temperature : float, default=1.0
        Divides the *raw cosine*, as in `MCM`.

    References
    ----------
    A score of the code that came with Ming et al., Delving into Out-of-Distribution Detection with Vision-Language
    Representations, NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(names=["cat", "dog"], text=torch.eye(2))
    >>> entropy = Entropy().fit(concepts)
    >>> entropy.to_paper(entropy.score_samples(torch.tensor([[1.0, 0.0], [0.7071, 0.7071]])))
    tensor([-0.5822, -0.6931])
    """

    def __init__(self, temperature: float = 1.0):
        self.temperature = temperature

    @property
    def bounds(self) -> tuple[float, float]:
        """Undecided between all classes, and sure of one."""
        self.check_is_fitted()
        return -math.log(len(self.text_)), 0.0

    def learn(self, concepts: Concepts) -> None:
        if len(concepts.names) < 2:
            raise OodlibError("Entropy needs at least two classes: with one there is nothing to decide.")

    def score_block(self, features: Array) -> Array:
        logits = self.cosines(features) / self.temperature
        return log_divergence(logits) - log_entropy(logits)
