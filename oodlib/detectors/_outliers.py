"""What the methods with outlier labels share: their base class, mining, and the part of a softmax."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from oodlib.arrays import Array, as_numpy, join, like, logsumexp, permutation, split
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import mean_share
from oodlib.detectors.base import Detector
from oodlib.errors import OodlibError

_CELLS = 2**22  # cosines in memory at once while mining: 16 MB, and a sort needs a few times that
_HOT = 2**19  # logits at once while summing: 2 MB, read from memory once and from the cache by every further step


class OutlierDetector(Detector):
    """A detector that compares pictures with outlier labels, too. `learn` takes them all; `restrict` leaves some.

    Attributes
    ----------
    outlier_text_ : tensor or array, shape (M, D)
        Text features of the labels in use.
    outlier_names_ : tuple of str, length M
        Their names, in that order.
    """

    requires: ClassVar[tuple[str, ...]] = ("outlier_text",)

    outlier_text_: Array
    outlier_names_: tuple[str, ...]

    def learn(self, concepts: Concepts) -> None:
        self.outlier_text_ = concepts.require("outlier_text", by=type(self).__name__)
        self.outlier_names_ = concepts.outlier_names

    def restrict(self, rows: np.ndarray) -> None:
        """Use only these of the labels, in this order: array of int, (M,)."""
        self.outlier_text_ = self.outlier_text_[rows]
        self.outlier_names_ = tuple(self.outlier_names_[row] for row in rows.tolist())

    def labels_compared(self) -> int:
        return len(self.text_) + len(self.outlier_text_)

    def outlier_cosines(self, features: Array) -> Array:
        """Compare images with the labels in use: (N, D) -> (N, M)."""
        return features @ like(self.outlier_text_, features).T

    def share_of_classes(self, features: Array, temperature: float) -> Array:
        """How much of one softmax over classes and labels falls on the classes, as log-odds: (N, D) -> (N,)."""
        logits = self.outlier_cosines(features / temperature)  # there are fewer features than cosines
        return known_odds(self.cosines(features) / temperature, logits[:, None])


def over_candidates(candidates: Array, text: Array, summary: Callable[[Array], Array]) -> Array:
    """Summarise each candidate's cosines with all classes, a block of candidates at a time.

    Parameters
    ----------
    candidates : tensor or array, shape (K, D)
    text : tensor or array, shape (C, D)
    summary : callable
        From cosines (k, C) to one number for each candidate, (k,).

    Returns
    -------
    tensor, shape (K,)
        The K x C cosines are never held: 70,000 words and 1,000 classes would be 280 MB.
    """
    rows = max(1, _CELLS // len(text))
    return join([summary(block @ text.T) for block in split(candidates, rows)])


def farthest(
    similarity: Array, kinds: Sequence[str], keep: float, others: Mapping[str, float] | None = None
) -> np.ndarray:
    """Choose the share `keep` of the labels that is least similar to the classes, in each kind of word by itself.

    Parameters
    ----------
    similarity : tensor or array, shape (K,)
    kinds : sequence of str, length K or 0
        Empty: all labels are of one kind.
    keep : float
        ``int(n * keep)`` of the n labels of a kind are kept, and at least one.
    others : mapping of str to float, optional
        The share of each kind that has one of its own.

    Returns
    -------
    array of int
        Rows: kinds in order of first appearance, in each the least similar first, equal ones in their given order.

    Examples
    --------
    >>> farthest(np.array([0.3, 0.1, 0.2, 0.9, 0.8]), ["noun"] * 3 + ["adjective"] * 2, 0.67)
    array([1, 2, 4])
    """
    numbers, chosen = as_numpy(similarity), []
    for kind in dict.fromkeys(kinds) or [None]:
        rows = np.array([i for i in range(len(numbers)) if kind is None or kinds[i] == kind])
        order = rows[numbers[rows].argsort(stable=True)]
        share = (others or {}).get(str(kind), keep)
        chosen.append(order[: max(1, int(len(order) * share))])
    return np.concatenate(chosen)


def group_rows(labels: int, groups: int, seed: int) -> np.ndarray:
    """Deal labels into groups of one size: rows of shape (groups, labels // groups).

    The last ``labels % groups`` labels, which are the nearest of the last kind, get no group; the others are permuted
    by `seed`. With fewer labels than groups, each label is a group of its own.

    >>> group_rows(7, 3, seed=0).shape
    (3, 2)
    """
    groups = min(groups, labels)
    size = labels // groups
    return permutation(groups * size, seed).reshape(groups, size)


def by_group(features: Array, words: Array, rows: np.ndarray) -> Array:
    """Compare pictures with the words of each group: (n, D), (M, D), (G, M // G) of int -> (n, G, M // G).

    Permuting words, instead of cosines, moves fewer numbers.
    """
    return (features @ words[rows.flatten()].T).reshape(len(features), *rows.shape)


def known_odds(known: Array, unknown: Array) -> Array:
    r"""Average over groups of outlier labels what part of a softmax falls on the classes, as log-odds.

    .. math:: \frac1G \sum_g \frac{\sum_i e^{z_i}}{\sum_i e^{z_i} + \sum_{j \in g} e^{z^-_j}}

    Parameters
    ----------
    known : tensor or array, shape (n, C)
        Logits of the classes.
    unknown : tensor or array, shape (n, G, K / G)
        Logits of the outlier labels by group.

    Returns
    -------
    tensor, shape (n,)
        The log-odds of this mean.
    """
    # the log-odds of a / (a + b) are log a - log b
    rows = max(1, _HOT // max(1, math.prod(unknown.shape[1:])))
    return mean_share(logsumexp(known)[:, None] - join([logsumexp(hot) for hot in split(unknown, rows)]))


def check_mining(detector: object, quantile: float, groups: int, **shares: float) -> None:
    """Raise if a parameter of the mining makes no sense; `shares` are those of labels to keep, by parameter."""
    if not 0 <= quantile <= 1:
        raise OodlibError(f"{detector!r}: the quantile must lie between 0 and 1; 1 is the nearest class.")
    for name, share in shares.items():
        if not 0 < share <= 1:
            raise OodlibError(
                f"{detector!r}: {name} is the share of labels to keep, so it must be above 0 and at most 1."
            )
    if groups < 1:
        raise OodlibError(f"{detector!r}: groups must be at least 1, which is the score without groups.")
