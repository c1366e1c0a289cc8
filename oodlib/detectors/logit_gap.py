"""LogitGap: the best match against the runners-up."""

from oodlib.arrays import Array, top_k
from oodlib.concepts import Concepts
from oodlib.detectors.base import Detector
from oodlib.errors import OodlibError


def mean_gap(logits: Array, top: int) -> Array:
    """Return the mean distance of the largest logit from the `top` next ones: (N, C) -> (N,)."""
    best, _ = top_k(logits, top + 1)
    return (best[:, :1] - best[:, 1:]).mean(-1)


class LogitGap(Detector):
    r"""How far the best concept stands above the ones that come next.

    .. math:: S(x) = \frac{1}{n} \sum_{j=2}^{n+1} \left(z_1 - z_j\right), \qquad z_1 \ge z_2 \ge \dots \ge z_C

    `z` are the raw cosines of an image with all concepts, sorted; a temperature would change no ranking. Larger = more
    in-distribution.

    Parameters
    ----------
    top : int or None, default=None
        The number n of gaps. None takes 20 % of the classes, as the paper does, and at least 1. More than C - 1 gaps
        do not exist, so larger values act as C - 1.

    Attributes
    ----------
    top_ : int
        The number of gaps in use.

    Notes
    -----
    Three traps when comparing numbers. The paper's formula counts N logits with the best one among them, that is
    N - 1 gaps; the released code counts gaps, as here. Its scripts do not use 20 %: they set 88 for ImageNet-1k, 20
    for ImageNet-100, 5 for ImageNet-10 and 10 for ImageNet-20. And its variants named "sqrt" and "square" are other
    scores: the mean *squared* gap, and the gap of the squared logits.

    References
    ----------
    Liang et al., Revisiting Logit Distributions for Reliable Out-of-Distribution Detection, NeurIPS 2025.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(names=["cat", "dog", "owl"], text=torch.eye(3))
    >>> LogitGap(top=2).fit(concepts).score_samples(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.0, 0.8]]))
    tensor([1.0000, 0.5000])
    """

    top_: int

    def __init__(self, top: int | None = None):
        self.top = top

    def learn(self, concepts: Concepts) -> None:
        n_classes = len(concepts.names)
        if n_classes < 2:
            raise OodlibError("LogitGap needs at least two classes: with one there is no gap to measure.")
        top = max(1, n_classes // 5) if self.top is None else self.top
        if top < 1:
            raise OodlibError(f"top={top}: LogitGap needs at least one gap, or None for 20 % of the classes.")
        self.top_ = min(top, n_classes - 1)

    def score_block(self, features: Array) -> Array:
        return mean_gap(self.cosines(features), self.top_)
