"""Losses of trainings against outliers, one function each; logits are in units of one, larger = more of a class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def weighted_energy(logits: Tensor, weight: Tensor) -> Tensor:
    r"""VOS's energy with a learned weight for each class.

    .. math:: E = \log \sum_k \max(w_k, 0)\, e^{l_k}

    Parameters
    ----------
    logits : Tensor
        (n, C).
    weight : Tensor
        (C,): a class with a weight below zero does not count. Where none is above, the energy is minus infinity.

    Returns
    -------
    Tensor
        (n,).
    """
    return (logits + weight.relu().log()).logsumexp(dim=1)


def uncertainty(inside: Tensor, outside: Tensor, slope: Tensor, bias: Tensor) -> Tensor:
    """Cross-entropy of telling ID from outliers by their energies, VOS's second loss.

    Parameters
    ----------
    inside, outside : Tensor
        (n,) and (m,): energies.
    slope, bias : Tensor
        (2, 1) and (2,): of the logits of "outlier" and "ID", in this order.

    Returns
    -------
    Tensor
        A number.
    """
    energies = torch.cat([inside, outside])
    known = torch.cat([torch.ones(len(inside)), torch.zeros(len(outside))]).long()
    return F.cross_entropy(F.linear(energies[:, None], slope, bias), known)


def to_uniform(logits: Tensor) -> Tensor:
    r"""Outlier exposure: how far the classes of outliers are from equally likely.

    .. math:: \frac{1}{n} \sum_i \Bigl( \log \sum_k e^{l_{ik}} - \frac{1}{C} \sum_k l_{ik} \Bigr)

    It is the cross-entropy with the uniform distribution, log C at least.
    """
    return (logits.logsumexp(dim=1) - logits.mean(dim=1)).mean()


def logit_norm(logits: Tensor, temperature: float = 0.04) -> Tensor:
    """Logits (n, C) of length 1 / temperature, for a cross-entropy that no longer logits can lower.

    NPOS has a temperature of 8. A softmax of logits that short is flat, so that outliers have nothing to learn from it.
    """
    normal: Tensor = logits / (logits.norm(dim=1, keepdim=True) + 1e-7) / temperature
    return normal


def contrastive(features: Tensor, labels: Tensor, temperature: float, outliers: Tensor | None = None) -> Tensor:
    r"""Supervised contrastive loss in which outliers only push.

    .. math::

        -\frac{1}{n} \sum_i \frac{1}{|P_i|} \sum_{p \in P_i} \log
        \frac{e^{z_i^\top z_p / \tau}}{\sum_{a \ne i} e^{z_i^\top z_a / \tau} + \sum_o e^{z_i^\top z_o / \tau}}

    :math:`P_i` are the others of the same class; rows without one are left out of the mean. Outliers stand below the
    line of ID rows alone, so that nothing draws them to each other.

    Parameters
    ----------
    features : Tensor
        (n, D), L2-normalised.
    labels : Tensor
        int64 (n,).
    temperature : float
        :math:`\tau`.
    outliers : Tensor, optional
        (m, D), L2-normalised.

    Returns
    -------
    Tensor
        A number; 0 where no two rows are of one class.
    """
    alone = torch.eye(len(features), dtype=torch.bool)
    cosines = (features @ features.T / temperature).masked_fill(alone, -torch.inf)
    every = cosines if outliers is None else torch.cat([cosines, features @ outliers.T / temperature], dim=1)
    share = cosines - every.logsumexp(dim=1, keepdim=True)
    same = (labels[:, None] == labels) & ~alone
    mates = same.sum(dim=1)
    if not mates.any():
        return features.sum() * 0
    mean = share.masked_fill(~same, 0).sum(dim=1) / mates.clamp(min=1)
    return -mean[mates > 0].mean()


def away_from_prototypes(outliers: Tensor, prototypes: Tensor, margin: float) -> Tensor:
    """How much outliers (m, D) match prototypes (C, D) beyond a margin, on average; all are L2-normalised."""
    return (outliers @ prototypes.T - margin).relu().mean()


def closer_than(distances: Tensor, margin: float) -> Tensor:
    """By how much distances (n,) fall short of a margin, on average; those beyond it count nothing."""
    return (margin - distances).relu().mean()
