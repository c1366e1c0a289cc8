"""CoCoOp: a context for every picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.tuning._loop import epochs, train
from oodlib.tuning._prompts import Prompts, frozen, words
from oodlib.tuning.base import Session, Shots, Tuned, Tuner

_PROMPTS = 1024  # in the text tower at once


class CoCoOp(Tuner):
    r"""Learned context vectors, shifted by what a small network says of the picture.

    :math:`v_m(x) = v_m + \pi(f(x))`, one shift for all vectors, where :math:`\pi` has one hidden layer of D / 16
    numbers. Every picture has class features of its own, so every picture is compared through the text tower: N
    pictures and C names cost N x C prompts, in training and in use. For a few dozen classes that is bearable.

    Parameters
    ----------
    context : str, default="a photo of a"
        Words to start from.
    epochs : int, default=10
    batch_size : int, default=1
    lr : float, default=0.002
        Of SGD with momentum 0.9; it falls to 0 along half a cosine. The authors' warm-up epoch is left out.
    weight_decay : float, default=0.0005

    Notes
    -----
    `Tuned.concepts` holds the class features without a shift in `text`; `match` computes the shifted ones.

    References
    ----------
    Zhou et al., Conditional Prompt Learning for Vision-Language Models, CVPR 2022, and the authors' code
    (KaiyangZhou/CoOp).
    """

    def __init__(
        self,
        context: str = "a photo of a",
        epochs: int = 10,
        batch_size: int = 1,
        lr: float = 2e-3,
        weight_decay: float = 5e-4,
    ):
        self.context = context
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        vectors = words(encoder, self.context).requires_grad_()
        prompts = Prompts(encoder, concepts.names, len(vectors))
        width = concepts.text.shape[1]
        narrow = max(1, width // 16)
        network = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, vectors.shape[1]))
        network.to(encoder.device)
        learned = {"context": vectors, **dict(network.named_parameters())}

        def compare(features: Tensor) -> Tensor:
            shifted = vectors + network(features)[:, None]  # (n, M, W)
            names = torch.arange(len(prompts), device=features.device).repeat(len(features))
            text = prompts.encode(shifted.repeat_interleave(len(prompts), dim=0), names)
            return (text.view(len(features), len(prompts), -1) @ features[:, :, None])[:, :, 0]

        def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
            logits = concepts.logit_scale * compare(shots.drawn(rows, generator).to(vectors))
            return F.cross_entropy(logits, shots.labels[rows].to(logits.device))

        with frozen(encoder.model):
            losses = train(
                learned,
                torch.optim.SGD(list(learned.values()), self.lr, momentum=0.9, weight_decay=self.weight_decay),
                epochs(len(shots), self.batch_size, self.epochs, session.seed),
                loss_of,
                session,
            )

        def match(features: Tensor) -> Tensor:
            with torch.no_grad():
                blocks = features.float().to(encoder.device).split(max(1, _PROMPTS // len(prompts)))
                return torch.cat([compare(block) for block in blocks]).to(features)

        def encode(names: Sequence[str]) -> Tensor:
            return Prompts(encoder, names, len(vectors)).encode_all(vectors.detach())

        tuned = replace(concepts, text=encode(concepts.names), no_text=None, match=match)
        return Tuned(tuned, {name: tensor.detach().cpu() for name, tensor in learned.items()}, losses, encode=encode)
