"""Tip-Adapter: the shots themselves as a cache in addition to the class names, without training."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning.base import Session, Shots, Tuned, Tuner


def cache_keys(views: Tensor) -> Tensor:
    """One key a shot: the mean over its views, L2-normalised: (A, M, D) -> (M, D).

    The authors average features before they are normalised, which gives longer ones more weight; kept features are of
    length 1, so here every view counts the same.
    """
    return F.normalize(views.mean(dim=0), dim=-1)


def cache_logits(features: Tensor, keys: Tensor, labels: Tensor, classes: int, beta: float) -> Tensor:
    r"""How strongly the shots of each class speak for a picture.

    .. math:: \sum_{m: y_m = c} e^{-\beta (1 - f^\top k_m)}

    Parameters
    ----------
    features : Tensor
        (n, D), L2-normalised.
    keys : Tensor
        (M, D).
    labels : Tensor
        int64 (M,).
    classes : int
        C.
    beta : float
        Sharpness: how fast a shot's word fades with distance.

    Returns
    -------
    Tensor
        (n, C).
    """
    near = (-beta * (1 - features @ keys.T)).exp()
    return near.new_zeros(len(features), classes).index_add_(1, labels.to(near.device), near)


class TipAdapter(Tuner):
    r"""Class names and shots vote together; nothing is trained.

    .. math:: \ell_c = \kappa f^\top t_c + \alpha \sum_{m: y_m = c} e^{-\beta (1 - f^\top k_m)}

    Concepts match by :math:`\ell / \kappa`, on the scale of a cosine, so that every score reads it as one.

    Parameters
    ----------
    alpha : float, default=1.17
        Weight of the shots; the authors' choice for ImageNet, where kappa is 100.
    beta : float, default=1.0

    Notes
    -----
    The authors search alpha and beta on the test set. Here they are given, or chosen on other pictures by the caller.

    References
    ----------
    Zhang et al., Tip-Adapter: Training-free Adaption of CLIP for Few-shot Classification, ECCV 2022, and the authors'
    code (gaopengcuhk/Tip-Adapter). Its logits as concept matching: Ming & Li, IJCV 2024.
    """

    def __init__(self, alpha: float = 1.17, beta: float = 1.0):
        self.alpha = alpha
        self.beta = beta

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        return self.with_keys(concepts, cache_keys(shots.features), shots.labels, ())

    def with_keys(self, concepts: Concepts, keys: Tensor, labels: Tensor, losses: tuple[float, ...]) -> Tuned:
        """Concepts that match by names and keys (M, D) together."""
        if self.beta < 0:
            raise OodlibError(f"{self!r}: beta must be at least 0, or shots speak louder the farther they are.")

        def match(features: Tensor) -> Tensor:
            text, given = concepts.text.to(features), keys.to(features)
            cache = cache_logits(features, given, labels, len(text), self.beta)
            logits: Tensor = features @ text.T + self.alpha / concepts.logit_scale * cache
            return logits

        return Tuned(replace(concepts, match=match), {"keys": keys}, losses)
