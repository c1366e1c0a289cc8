"""What the methods with outlier labels share: mining labels that are far from the classes, and grouped scores."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from oodlib.errors import OodlibError

_CELLS = 2**22  # cosines in memory at once while mining: 16 MB, and a sort needs a few times that


def over_candidates(candidates: Tensor, text: Tensor, summary: Callable[[Tensor], Tensor]) -> Tensor:
    """Summarise each candidate's cosines with all classes, a block of candidates at a time.

    Parameters
    ----------
    candidates : tensor, shape (K, D)
    text : tensor, shape (C, D)
    summary : callable
        From cosines (k, C) to one number for each candidate, (k,).

    Returns
    -------
    tensor, shape (K,)
        The K x C cosines are never held: 70,000 words and 1,000 classes would be 280 MB.
    """
    rows = max(1, _CELLS // len(text))
    return torch.cat([summary(block @ text.T) for block in candidates.split(rows)])


def quantile_similarity(candidates: Tensor, text: Tensor, percentile: float) -> Tensor:
    """How near each candidate is to the classes: the quantile of its cosines, interpolated: (K, D), (C, D) -> (K,)."""
    return over_candidates(candidates, text, lambda cosines: cosines.quantile(percentile, dim=1))


def farthest(similarity: Tensor, kinds: Sequence[str], keep: float) -> Tensor:
    """Choose the share `keep` of the labels that is least similar to the classes, in each kind of word by itself.

    Parameters
    ----------
    similarity : tensor, shape (K,)
    kinds : sequence of str, length K or 0
        Empty: all labels are of one kind.
    keep : float
        ``int(n * keep)`` of the n labels of a kind are kept, and at least one.

    Returns
    -------
    tensor of int
        Rows: kinds in order of first appearance, in each the least similar first, equal ones in their given order.

    Examples
    --------
    >>> farthest(torch.tensor([0.3, 0.1, 0.2, 0.9, 0.8]), ["noun"] * 3 + ["adjective"] * 2, 0.67)
    tensor([1, 2, 4])
    """
    chosen = []
    for kind in dict.fromkeys(kinds) or [None]:
        rows = torch.tensor([i for i in range(len(similarity)) if kind is None or kinds[i] == kind])
        order = rows[similarity[rows].cpu().argsort(stable=True)]
        chosen.append(order[: max(1, int(len(order) * keep))])
    return torch.cat(chosen)


def group_rows(labels: int, groups: int, seed: int) -> Tensor:
    """Deal labels into groups of one size: rows of shape (groups, labels // groups).

    The last ``labels % groups`` labels, which are the nearest of the last kind, get no group; the others are permuted
    by `seed`. With fewer labels than groups, each label is a group of its own.

    >>> group_rows(7, 3, seed=0).shape
    torch.Size([3, 2])
    """
    groups = min(groups, labels)
    size = labels // groups
    return torch.randperm(groups * size, generator=torch.Generator().manual_seed(seed)).reshape(groups, size)


def known_mass(known: Tensor, unknown: Tensor) -> Tensor:
    r"""Return the part of a softmax that falls on the classes, for each group of outlier labels; then the mean.

    .. math:: \frac1G \sum_g \frac{\sum_i e^{z_i}}{\sum_i e^{z_i} + \sum_{j \in g} e^{z^-_j}}

    Parameters
    ----------
    known : tensor, shape (n, C)
        Logits of the classes.
    unknown : tensor, shape (n, G, K / G)
        Logits of the outlier labels by group.

    Returns
    -------
    tensor, shape (n,)
    """
    # a / (a + b) is the logistic function of log a - log b, which cannot overflow and keeps small values exact
    return (known.logsumexp(dim=-1, keepdim=True) - unknown.logsumexp(dim=-1)).sigmoid().mean(dim=-1)


def check_mining(detector: object, percentile: float, keep: float, groups: int) -> None:
    """Raise if a parameter of the mining makes no sense."""
    if not 0 <= percentile <= 1:
        raise OodlibError(f"{detector!r}: the percentile is a quantile, so it must lie between 0 and 1.")
    if not 0 < keep <= 1:
        raise OodlibError(f"{detector!r}: keep is the share of labels to keep, so it must be above 0 and at most 1.")
    if groups < 1:
        raise OodlibError(f"{detector!r}: groups must be at least 1, which is the score without groups.")
