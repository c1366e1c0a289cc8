"""EOE: outlier classes that a language model envisions from the class names."""

from collections.abc import Sequence

import numpy as np

from oodlib.arrays import Array, as_numpy, largest, namespace
from oodlib.concepts import Concepts
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
    """Return max softmax of the classes minus `beta` times that of the labels, from logits (n, C), (n, K) -> (n,)."""
    xp = namespace(known)
    inside, outside = largest(known), largest(unknown)
    best = xp.maximum(inside, outside)
    total = xp.exp(known - best[:, None]).sum(-1) + xp.exp(unknown - best[:, None]).sum(-1)
    return (xp.exp(inside - best) - beta * xp.exp(outside - best)) / total


class EOE(OutlierDetector):
    r"""The best class's share of a softmax, less a part of the best envisioned outlier's share.

    .. math:: S(x) = \max_{i \le C} p_i - \beta \max_{C < k \le C + K} p_k, \qquad
        p = \operatorname{softmax}\left([s_1 \dots s_C, s^o_1 \dots s^o_K] / \tau\right)

    with raw cosines :math:`s` to the classes and :math:`s^o` to the outlier labels. Larger = more in-distribution.

    Parameters
    ----------
    beta : float, default=0.25
        Weight of the best outlier label.
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
    >>> EOE().fit(concepts).score_samples(torch.eye(3)[:2])
    tensor([0.5231, 0.0679])
    """

    def __init__(self, beta: float = 0.25, temperature: float = 1.0, max_similarity: float = 1.0):
        self.beta = beta
        self.temperature = temperature
        self.max_similarity = max_similarity

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        stays = not_too_similar(self.outlier_text_, self.text_, self.max_similarity)
        if not stays.any():
            raise OodlibError(f"{self!r}: every outlier label is nearer to a class than that: raise max_similarity.")
        self.restrict(np.flatnonzero(stays))

    def score_block(self, features: Array) -> Array:
        known, unknown = self.cosines(features), self.outlier_cosines(features)
        return envisioned_score(known / self.temperature, unknown / self.temperature, self.beta)
