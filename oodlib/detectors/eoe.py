"""EOE: outlier classes that a language model envisions from the class names."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oodlib.arrays import Array, as_numpy, largest, log_sigmoid, namespace, softmax
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import log_weight, share_of
from oodlib.detectors._outliers import OutlierDetector, over_candidates
from oodlib.errors import OodlibError


def without_shared_words(outlier_names: Sequence[str], names: Sequence[str]) -> list[bool]:
    """Tell which labels share no word with any class name: the authors' filter for labels of near OOD.

    Words are what white space separates, compared without regard to case.

    >>> without_shared_words(["gray wolf", "black stone"], ["timber Wolf"])
    [False, True]
    """
    words = {word for name in names for word in name.casefold().split()}
    return [words.isdisjoint(label.casefold().split()) for label in outlier_names]


def not_too_similar(outlier_text: Array, text: Array, max_similarity: float) -> np.ndarray:
    """Tell which labels have no cosine above `max_similarity` with any class: (K, D), (C, D) -> (K,) of bool.

    At 1 all labels stay, those too that repeat a class and whose cosine is rounded to a little more than 1.
    """
    if max_similarity >= 1:
        return np.ones(len(outlier_text), dtype=bool)
    return as_numpy(over_candidates(outlier_text, text, largest)) <= max_similarity


def envisioned_score(known: Array, unknown: Array, beta: float) -> Array:
    """Score logits of the classes and of the labels, as `EOE` explains: (n, C), (n, K) -> (n,)."""
    xp = namespace(known)
    together = xp.concat([known, unknown], -1)
    inside = share_of(together, known.argmax(-1))
    outside = share_of(together, known.shape[-1] + unknown.argmax(-1))
    shares = softmax(together)
    paper = largest(shares[:, : known.shape[-1]]) - beta * largest(shares[:, known.shape[-1] :])
    scale = beta or 1.0  # without a weight nothing is negative
    # How far the way to the bound is gone, negated. Where a part is left, its logarithm is made of logarithms.
    gone = xp.where(paper < 0, paper / scale, -paper)
    to_one = xp.logaddexp(log_sigmoid(-inside), log_sigmoid(outside) + log_weight(beta))  # log(1 - S)
    to_low = xp.logaddexp(log_sigmoid(inside), log_sigmoid(-outside) + log_weight(beta)) - log_weight(scale)
    left = xp.where(gone < -0.25, xp.where(paper < 0, to_low, to_one), xp.log1p(xp.clip(gone, -0.5, None)))
    return xp.where(paper < 0, left, -left)


class EOE(OutlierDetector):
    r"""The best class's share of a softmax, less a part of the best envisioned outlier's share.

    .. math:: S(x) = \max_{i \le C} p_i - \beta \max_{C < k \le C + K} p_k, \qquad
        p = \operatorname{softmax}\left([s_1 \dots s_C, s^o_1 \dots s^o_K] / \tau\right)

    with raw cosines :math:`s` to the classes and :math:`s^o` to the outlier labels. Larger = more in-distribution.

    S lies between its bounds -beta and 1, and with many labels near 0: log-odds would be coarse there. Scores are
    :math:`-\log(1 - S)` where S is positive and :math:`\log(1 + S / \beta)` where it is negative: nearly S itself
    around 0, with room at both bounds.

    Parameters
    ----------
    beta : float, default=0.25
        Weight of the best outlier label, 0 or more.
    temperature : float, default=1.0
        Divides the *raw cosine*, as in `MCM`.
    max_similarity : float, default=1.0
        Labels with a larger cosine to any class are left out; 1 leaves none out. The authors use 0.85 for near OOD of
        ImageNet-20, else 1.

    Attributes
    ----------
    outlier_text_ : tensor or array, shape (M, D)
        Text features of the labels that stay.
    outlier_names_ : tuple of str, length M
        Their names.

    Raises
    ------
    OodlibError
        If the concepts have no outlier labels, or all are nearer to a class than `max_similarity`.

    Notes
    -----
    For near OOD the authors also drop labels that share a word with a class name: `without_shared_words`. The number
    of labels that a language model was asked for is not the number left: of 500 asked for, duplicates gone, 215 remain
    in one of the authors' lists.

    References
    ----------
    Cao et al., Envisioning Outlier Exposure by Large Language Models for Out-of-Distribution Detection, ICML 2024.

    Examples
    --------
    >>> import torch
    >>> concepts = Concepts(["cat"], torch.eye(3)[:1], outlier_names=["lynx", "bus"], outlier_text=torch.eye(3)[1:])
    >>> eoe = EOE().fit(concepts)
    >>> eoe.to_paper(eoe.score_samples(torch.eye(3)[:2]))
    tensor([0.5231, 0.0679])
    """

    def __init__(self, beta: float = 0.25, temperature: float = 1.0, max_similarity: float = 1.0):
        self.beta = beta
        self.temperature = temperature
        self.max_similarity = max_similarity

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        if self.beta < 0:
            raise OodlibError(f"{self!r}: beta is a weight, so it must be 0 or more.")
        stays = not_too_similar(self.outlier_text_, self.text_, self.max_similarity)
        if not stays.any():
            raise OodlibError(f"{self!r}: every outlier label is nearer to a class than that: raise max_similarity.")
        self.restrict(np.flatnonzero(stays))

    @property
    def bounds(self) -> tuple[float, float]:
        """All mass on the best outlier label, and all on a class."""
        return -self.beta, 1.0

    def to_paper(self, scores: Any) -> Any:
        xp = namespace(scores)
        gone = xp.expm1(-abs(scores))  # the way to the bound, negated; of a large positive number it overflows
        return xp.where(scores < 0, self.beta * gone, -gone)

    def from_paper(self, value: float) -> float:
        left = 1 - value if value >= 0 else 1 + value / self.beta if self.beta else 0.0
        size = -math.log(left) if left > 0 else math.inf
        return size if value >= 0 else -size

    def score_block(self, features: Array) -> Array:
        known, unknown = self.cosines(features), self.outlier_cosines(features)
        return envisioned_score(known / self.temperature, unknown / self.temperature, self.beta)
