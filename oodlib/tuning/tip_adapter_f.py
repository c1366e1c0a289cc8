"""Tip-Adapter-F: the cache's keys are where training starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.tuning._loop import epochs, train
from oodlib.tuning.base import Session, Shots, Tuned
from oodlib.tuning.tip_adapter import TipAdapter, cache_keys, cache_logits


class TipAdapterF(TipAdapter):
    """Tip-Adapter whose keys are trained with the cross-entropy of the shots.

    Parameters
    ----------
    alpha, beta
        Those of `TipAdapter`.
    epochs : int, default=20
    batch_size : int, default=256
    lr : float, default=0.001
        Of AdamW with eps 0.0001; it falls to 0 along half a cosine, step by step.

    Notes
    -----
    The authors keep the epoch that is best on the test set; here the last one counts.

    References
    ----------
    As for `TipAdapter`.
    """

    def __init__(
        self, alpha: float = 1.17, beta: float = 1.0, epochs: int = 20, batch_size: int = 256, lr: float = 1e-3
    ):
        super().__init__(alpha, beta)
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        order = epochs(len(shots), self.batch_size, self.epochs, session.seed)
        keys, losses = self.train_keys(cache_keys(shots.features), concepts, shots, order, session)
        return self.with_keys(concepts, keys, shots.labels, losses)

    def train_keys(
        self,
        start: Tensor,
        concepts: Concepts,
        shots: Shots,
        order: Sequence[Tensor],
        session: Session,
    ) -> tuple[Tensor, tuple[float, ...]]:
        """Train keys that start from `start`, (M, D), over the batches of `order`; returns them and the losses."""
        keys = start.clone().requires_grad_()

        def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
            features = shots.drawn(rows, generator)
            cache = cache_logits(features, keys, shots.labels, len(concepts.text), self.beta)
            logits = concepts.logit_scale * features @ concepts.text.T + self.alpha * cache
            return F.cross_entropy(logits, shots.labels[rows])

        losses = train(
            {"keys": keys},
            torch.optim.AdamW([keys], self.lr, eps=1e-4),
            order,
            loss_of,
            session,
        )
        return keys.detach(), losses
