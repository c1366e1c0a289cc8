"""What language models are tuned with for detection: a contrastive term beside the cross-entropy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.errors import OodlibError

LOSSES = ("ce", "ce_supcon", "margin")


def checked(loss: str) -> str:
    """The name of a loss.

    Raises
    ------
    OodlibError
        If it is none of `LOSSES`.
    """
    if loss not in LOSSES:
        raise OodlibError(f"there is no loss {loss!r}: choose one of {', '.join(LOSSES)}")
    return loss


def total(loss: str, features: Tensor, logits: Tensor, labels: Tensor, weight: float, temperature: float) -> Tensor:
    """The cross-entropy of logits (n, C), and `weight` times what the loss adds on features (n, D): a number."""
    cost = F.cross_entropy(logits, labels)
    if loss == "ce_supcon":
        cost = cost + weight * released_contrast(features, labels, temperature)
    if loss == "margin":
        cost = cost + weight * margin(features, labels)
    return cost


def released_contrast(features: Tensor, labels: Tensor, temperature: float = 0.3) -> Tensor:
    r"""Supervised contrastive loss, as the released code reads it.

    .. math::

        \frac{1}{n} \sum_i \frac{1}{|P_i| + 10^{-3}} \sum_{p \in P_i} - \log \Bigl(
        \frac{e^{\cos(z_i, z_p) / \tau}}{\sum_{a \ne i} e^{\cos(z_i, z_a) / \tau}} + 10^{-5} \Bigr)

    :math:`P_i` are the others of the same class. A row without one counts in the mean, as 0, and the small numbers keep
    the loss finite: in `oodlib.tuning._outlier_losses.contrastive` neither is so.

    Parameters
    ----------
    features : Tensor
        (n, D), of any length.
    labels : Tensor
        int64 (n,).
    temperature : float
        :math:`\tau`.

    Returns
    -------
    Tensor
        A number.

    References
    ----------
    Khosla et al., Supervised Contrastive Learning, NeurIPS 2020; Uppaal et al., ACL 2023 (Uppaal/lm-ood, commit
    2b360ba, `compute_loss`).
    """
    unit = F.normalize(features, dim=1)
    others = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    share = (unit @ unit.T / temperature).masked_fill(~others, -torch.inf).softmax(dim=1)
    same = ((labels[:, None] == labels) & others).to(share)
    cost = -(share + 1e-5).log()
    return ((same * cost).sum(dim=1) / (same.sum(dim=1) + 1e-3)).mean()


def margin(features: Tensor, labels: Tensor) -> Tensor:
    r"""Rows of one class are drawn together, others pushed beyond the farthest pair of one class in the batch.

    .. math::

        \frac{1}{n} \sum_i \Bigl( \frac{\sum_{p \in P_i} d_{ip}}{|P_i| + 10^{-3}} +
        \frac{\sum_{q \in Q_i} \max(0, m - d_{iq})}{|Q_i| + 10^{-3}} \Bigr), \qquad
        m = \max_i \max_{p \in P_i} d_{ip}

    :math:`d` is the mean over dimensions of the squared difference, :math:`P_i` are the others of the same class and
    :math:`Q_i` those of other classes. The gradient goes through :math:`m`, too.

    Parameters
    ----------
    features : Tensor
        (n, D), as they come: their scale is that of the loss.
    labels : Tensor
        int64 (n,).

    Returns
    -------
    Tensor
        A number.

    References
    ----------
    Zhou, Liu, Chen, Contrastive Out-of-Distribution Detection for Pretrained Transformers, EMNLP 2021; as released with
    Uppaal et al., ACL 2023 (Uppaal/lm-ood, commit 2b360ba, `compute_loss`).
    """
    apart = (features[:, None] - features).square().mean(dim=2)
    same = labels[:, None] == labels
    mates = (same & ~torch.eye(len(features), dtype=torch.bool, device=features.device)).to(apart)
    strangers = (~same).to(apart)
    farthest = (apart * mates).max()
    pull = (apart * mates).sum(dim=1) / (mates.sum(dim=1) + 1e-3)
    push = ((farthest - apart).relu() * strangers).sum(dim=1) / (strangers.sum(dim=1) + 1e-3)
    return (pull + push).mean()
