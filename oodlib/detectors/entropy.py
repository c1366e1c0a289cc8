"""Negative entropy."""

from oodlib.arrays import Array, log_softmax, namespace
from oodlib.detectors.base import Detector


def negative_entropy(logits: Array, temperature: float) -> Array:
    """Return ``sum p log p`` for p the softmax of ``logits / temperature``, in nats: (N, C) -> (N,)."""
    log_p = log_softmax(logits / temperature)
    return (namespace(log_p).exp(log_p) * log_p).sum(-1)


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
    >>> Entropy().fit(concepts).score_samples(torch.tensor([[1.0, 0.0], [0.7071, 0.7071]]))
    tensor([-0.5822, -0.6931])
    """

    def __init__(self, temperature: float = 1.0):
        self.temperature = temperature

    def score_block(self, features: Array) -> Array:
        return negative_entropy(self.cosines(features), self.temperature)
