"""DNM: words of crowded places, and a denominator that takes the classes out of them."""

import math
from typing import Any, Literal

import numpy as np

from oodlib.arrays import Array, like, namespace, top_k
from oodlib.concepts import Concepts
from oodlib.detectors._outliers import (
    OutlierDetector,
    by_group,
    check_mining,
    farthest,
    group_rows,
    known_odds,
    over_candidates,
)
from oodlib.errors import OodlibError

_SAME = 1e-6  # squared distance of two texts that are read as one: nearer ones differ by rounding


def crowding(words: Array, neighbours: int, lengths: Array | None = None) -> Array:
    r"""How far a word's nearest other words are: the mean of :math:`\log(2 - 2 \cos)` over them.

    Parameters
    ----------
    words : tensor or array, shape (K, D)
        L2-normalised.
    neighbours : int
        How many; all there are, if there are fewer.
    lengths : tensor or array, shape (K,), optional
        How long the text features were before. Then this is the released code, which writes the *lengths* of both
        words, :math:`l_i + l_j - 2 \cos`, where a squared distance has their squares: short features count as crowded,
        and each word is the first of its own neighbours. Without, that one would be :math:`\log 0`, and is left out.

    Returns
    -------
    tensor or array, shape (K,)
        The smaller, the more crowded the place.
    """
    xp = namespace(words)
    ones = xp.ones_like(words[:, 0])
    sizes = ones if lengths is None else lengths
    first = 1 if lengths is None else 0  # itself, or one that is read as the same
    count = min(neighbours + 1, len(words))
    if count == first:  # a word alone
        return 0 * ones

    def mean_log(distances: Array) -> Array:
        nearest = -top_k(-distances, count)[0][:, first:]
        return xp.log(xp.clip(nearest, _SAME, None)).mean(-1)

    # one product gives the size of a row plus the size of a column minus twice the cosine
    rows = xp.concatenate([-2 * words, xp.stack([sizes, ones], -1)], -1)
    columns = xp.concatenate([words, xp.stack([ones, sizes], -1)], -1)
    return over_candidates(rows, columns, mean_log)


class DNM(OutlierDetector):
    r"""NegLabel's score with words of crowded places, of which a part is taken to stand for the classes.

    Mining looks at no class: kept are the words, of nouns and of adjectives separately, whose nearest other words are
    nearest (`crowding`). A mined word may still mean a class. With a share :math:`\omega` of true negatives among them,
    what Q true negatives would add to a softmax is estimated from the Q words of a group and from the classes:

    .. math::

        S(x) = \frac1{C \, |G|} \sum_{g \in G} \frac{A}{A + \frac Q\omega \left(\frac1Q \sum_{j \in g} e^{s^-_j/\tau}
        - (1 - \omega) \frac1C A\right)}, \qquad A = \sum_{i \le C} e^{s_i/\tau}

    with cosines :math:`s_i` to the classes and :math:`s^-_j` to the words. Larger = more in-distribution.

    The A in the denominator has the factor :math:`w / \omega` with :math:`w = \omega - (1 - \omega) Q / C`, so that the
    score is NegLabel's with classes that count w times: :math:`S = \frac{\omega}{C w} \frac1{|G|} \sum_g
    \frac{w A}{w A + B_g}`. With few classes or large groups w is negative, **and so is the denominator** of pictures
    that fit the classes well: their score jumps from the highest to the lowest. Such weights are refused.

    Parameters
    ----------
    keep, keep_adjectives : float, default=0.23 and 0.13
        Share of the nouns (and of every other kind, and of words without a kind) and of the adjectives that is kept.
    neighbours : int, default=100
        How many other words say how crowded a word's place is.
    groups : int, default=100
        As in `NegLabel`.
    weight : float or "safe", default=0.5
        The :math:`\omega`, above 0 and at most 1, where S is NegLabel's divided by the number of classes. "safe" is
        **oodlib's own choice**, not the authors': halfway between the smallest weight that keeps denominators positive,
        Q / (Q + C), and 1. Then w is 0.5 whatever the numbers of classes and words, as with 0.5 and very many classes.
    temperature : float, default=0.01
        Divides the raw cosine: CLIP's own scale.
    random_state : int, default=50
        Of the permutation.

    Attributes
    ----------
    selected_ : array of int, shape (M,)
        Which outlier labels were kept: nouns first if they came first, in each kind the most crowded first.
    outlier_names_, outlier_text_, group_rows_
        As in `NegLabel`.
    weight_ : float
        The :math:`\omega` in use.

    Raises
    ------
    OodlibError
        If the concepts have no outlier labels, or a denominator could be negative.

    Notes
    -----
    The authors write classes and nouns into "the nice {}" and adjectives into "This is a {} photo", leave out WordNet's
    noun.person, noun.quantity, noun.group and adj.pert, and mine with the lengths of raw text features; `Concepts` hold
    normalised ones, which have none. For ViT-B/32 they keep 0.25 of the nouns, and take 10 neighbours and a weight of
    0.12.

    References
    ----------
    Debiased Negative Mining Improves OOD Detection with Pre-trained Vision-Language Models, KDD 2026; the steps are
    those of the released code, 60pen9/Debiased-Negative-Mining-Improves-OOD-Detection-with-Pre-trained-VLMs.

    Examples
    --------
    >>> import torch
    >>> concepts = Concepts(["cat", "dog"], torch.eye(3)[:2], outlier_names=["bus"], outlier_text=torch.eye(3)[2:])
    >>> detector = DNM(temperature=0.1).fit(concepts)
    >>> detector.to_paper(detector.score_samples(torch.tensor([[1.0, 0.0, 0.0], [0.7071, 0.0, 0.7071]])))
    tensor([0.9998, 0.2001])
    >>> DNM(temperature=0.1, weight=0.3).fit(concepts)
    Traceback (most recent call last):
    ...
    oodlib.errors.OodlibError: DNM(temperature=0.1, weight=0.3): its denominator turns negative with 2 classes and
    groups of 1: pass weight="safe", which is oodlib's own choice, or a weight of 0.34 or more.
    """

    selected_: np.ndarray
    group_rows_: np.ndarray
    weight_: float

    def __init__(
        self,
        keep: float = 0.23,
        keep_adjectives: float = 0.13,
        neighbours: int = 100,
        groups: int = 100,
        weight: float | Literal["safe"] = 0.5,
        temperature: float = 0.01,
        random_state: int = 50,
    ):
        self.keep = keep
        self.keep_adjectives = keep_adjectives
        self.neighbours = neighbours
        self.groups = groups
        self.weight = weight
        self.temperature = temperature
        self.random_state = random_state

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        check_mining(self, 1.0, self.groups, keep=self.keep, keep_adjectives=self.keep_adjectives)
        if self.neighbours < 1:
            raise OodlibError(f"{self!r}: neighbours is a count, so it must be at least 1.")
        crowded = crowding(self.outlier_text_, self.neighbours)
        others = {"adjective": self.keep_adjectives}
        self.selected_ = farthest(crowded, concepts.outlier_kinds, self.keep, others)
        self.restrict(self.selected_)
        self.group_rows_ = group_rows(len(self.selected_), self.groups, self.random_state)
        self.weight_ = self._checked_weight()

    def _checked_weight(self) -> float:
        weight: Any = self.weight
        classes, size = len(self.text_), int(self.group_rows_.shape[1])
        least = size / (size + classes)
        if weight == "safe":
            return (1 + least) / 2
        if isinstance(weight, str) or not 0 < weight <= 1:
            raise OodlibError(f'{self!r}: the weight is a share: pass a number above 0 and at most 1, or "safe".')
        if weight <= least:
            enough = math.floor(100 * least + 1) / 100
            raise OodlibError(
                f"{self!r}: its denominator turns negative with {classes} classes and groups of {size}: pass "
                f'weight="safe", which is oodlib\'s own choice, or a weight of {enough:g} or more.'
            )
        return float(weight)

    @property
    def counts(self) -> float:
        """How often the classes count in the denominator, the w above."""
        size = int(self.group_rows_.shape[1])
        return self.weight_ - (1 - self.weight_) * size / len(self.text_)

    @property
    def bounds(self) -> tuple[float, float]:
        """No mass on the classes, and all."""
        return 0.0, self.weight_ / (len(self.text_) * self.counts)

    def score_block(self, features: Array) -> Array:
        words = like(self.outlier_text_, features)
        logits = by_group(features / self.temperature, words, self.group_rows_)
        return known_odds(self.cosines(features) / self.temperature + math.log(self.counts), logits)
