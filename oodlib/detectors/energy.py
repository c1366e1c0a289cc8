"""Energy."""

from oodlib.arrays import Array, logsumexp
from oodlib.concepts import Concepts
from oodlib.detectors.base import Detector


def negative_energy(logits: Array, temperature: float) -> Array:
    """Return ``temperature * logsumexp(logits / temperature)``: (N, C) -> (N,)."""
    return temperature * logsumexp(logits / temperature)


class Energy(Detector):
    r"""How strongly all concepts match together: a soft maximum of the cosines.

    .. math:: S(x) = \tau \log \sum_{i \le C} e^{s_i/\tau}, \qquad s_i = v^\top t_i

    This is the *negative* free energy. Larger = more in-distribution.

    Parameters
    ----------
    temperature : float or None, default=None
        Divides the *raw cosine*. None takes the model's own, 1 / logit_scale (0.01 for CLIP), as the code of EOE
        advises. The code of MCM uses 1: cosines are far smaller than that, so the score is then almost their *mean*
        (plus log C), and an image is asked to match every concept a little, not one concept well.

    Attributes
    ----------
    temperature_ : float
        The temperature in use.

    References
    ----------
    Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(names=["cat", "dog"], text=torch.eye(2))
    >>> Energy().fit(concepts).score_samples(torch.tensor([[1.0, 0.0], [0.7071, 0.7071]]))
    tensor([1.0000, 0.7140])
    """

    temperature_: float

    def __init__(self, temperature: float | None = None):
        self.temperature = temperature

    def learn(self, concepts: Concepts) -> None:
        self.temperature_ = 1 / concepts.logit_scale if self.temperature is None else self.temperature

    def score_block(self, features: Array) -> Array:
        return negative_energy(self.cosines(features), self.temperature_)
