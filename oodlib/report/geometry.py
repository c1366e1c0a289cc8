"""Numbers on a space of features: how far pictures and words lie apart, and whose neighbours are whose.

A map shows a space in two dimensions and loses most of it. What a page claims about a space is measured here, in all
of its dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from oodlib.arrays import as_tensor, plain
from oodlib.concepts import as_matrix
from oodlib.errors import OodlibError


@dataclass(frozen=True)
class Gap:
    """Where pictures and words lie, in numbers.

    Attributes
    ----------
    distance : float
        Length of the difference between the mean picture and the mean word: Liang and others' modality gap.
    pictures, words : float
        Mean cosine of two different pictures, and of two different words.
    between : float
        Mean cosine of a picture with a word.
    """

    distance: float
    pictures: float
    words: float
    between: float


def gap(pictures: Any, words: Any) -> Gap:
    """Measure the gap between pictures (N, D) and words (K, D), both L2-normalised.

    References
    ----------
    Liang et al., Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning,
    NeurIPS 2022.

    Examples
    --------
    >>> gap(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    Gap(distance=1.4142..., pictures=1.0, words=1.0, between=0.0)
    """
    one, other = _rows(pictures, "pictures"), _rows(words, "words")
    distance = float((one.mean(0) - other.mean(0)).norm())
    return Gap(distance, _within(one), _within(other), float(one.mean(0) @ other.mean(0)))


def centred(features: Any, mean: Any) -> Tensor:
    """Take a mean (D,) off every row (N, D) and make the rows of length one again."""
    return F.normalize(_rows(features, "features") - as_tensor(plain(mean, "mean")), dim=1)


def neighbours(features: Any, k: int = 10) -> NDArray[np.int64]:
    """The `k` rows with the highest cosine to each row, itself left out: (N, D) L2-normalised -> (N, k).

    Raises
    ------
    OodlibError
        If there are no `k` other rows.
    """
    rows = _rows(features, "features")
    if not 1 <= k < len(rows):
        raise OodlibError(f"{len(rows)} rows have no {k} neighbours each: pass k from 1 to {len(rows) - 1}")
    cosines = rows @ rows.T
    cosines.fill_diagonal_(-torch.inf)
    nearest: NDArray[np.int64] = cosines.topk(k, dim=1).indices.cpu().numpy()
    return nearest


def purity(near: NDArray[np.int64], labels: ArrayLike) -> NDArray[np.float64]:
    """The share of each row's neighbours (N, k) that carry its own label (N,): (N,)."""
    known = np.asarray(labels)
    return np.asarray((known[near] == known[:, None]).mean(axis=1))


def chance(labels: ArrayLike) -> float:
    """What the mean `purity` would be if neighbours were drawn at random.

    >>> chance(["cat", "cat", "dog"])
    0.3333333333333333
    """
    counts = np.unique(np.asarray(labels), return_counts=True)[1].astype(np.int64)
    return float((counts * (counts - 1)).sum() / (counts.sum() * (counts.sum() - 1)))


def told_apart(groups: Sequence[Any], *, centre: bool = False, seed: int = 0) -> float:
    """How well a linear classifier tells groups of features apart, on halves that it has not learned from.

    Parameters
    ----------
    groups : sequence of (n, D)
        Such as pictures and words.
    centre : bool
        Take the mean of its group off every row first. The means, too, are those of the halves that teach.
    seed : int
        Of the halves.

    Returns
    -------
    float
        Balanced accuracy: the mean over the groups of the share that is recognised. Guessing has 1 / groups.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    rng = np.random.default_rng(seed)
    taught, tested = [], []
    for k, features in enumerate(groups):
        rows = _rows(features, f"group {k}")
        half = torch.from_numpy(rng.permutation(len(rows))).tensor_split(2)
        learn, look = rows[half[0]], rows[half[1]]
        if centre:
            mean = learn.mean(0)
            learn, look = centred(learn, mean), centred(look, mean)
        taught.append(learn.numpy())
        tested.append(look.numpy())
    labels = [np.repeat(np.arange(len(groups)), [len(part) for part in parts]) for parts in (taught, tested)]
    model = LogisticRegression(C=10.0, max_iter=1000, class_weight="balanced").fit(np.concatenate(taught), labels[0])
    return float(balanced_accuracy_score(labels[1], model.predict(np.concatenate(tested))))


def _rows(features: Any, what: str) -> Tensor:
    """Features as a tensor (N, D)."""
    rows: Tensor = as_tensor(as_matrix(features, what))
    return rows


def _within(rows: Tensor) -> float:
    """Mean cosine of two different rows (NaN for a single one)."""
    n, total = len(rows), rows.sum(0)
    return float((total @ total - rows.square().sum()) / (n * (n - 1))) if n > 1 else float("nan")
