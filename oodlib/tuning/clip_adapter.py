"""CLIP-Adapter: a small network on top of the image feature."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning._loop import epochs, train
from oodlib.tuning.base import Session, Shots, Tuned, Tuner


def adapt(features: Tensor, down: Tensor, up: Tensor, ratio: float) -> Tensor:
    r"""Mix an image feature with what the adapter makes of it.

    .. math:: f^* = \rho\, \mathrm{ReLU}(W_2\, \mathrm{ReLU}(W_1 f)) + (1 - \rho) f

    The network has no biases, so it scales with f: whether f is normalised before makes no difference after.

    Parameters
    ----------
    features : Tensor
        (n, D).
    down, up : Tensor
        W_1 (D / r, D) and W_2 (D, D / r).
    ratio : float

    Returns
    -------
    Tensor
        (n, D), L2-normalised.
    """
    adapted = F.linear(F.linear(features, down).relu(), up).relu()
    return F.normalize(ratio * adapted + (1 - ratio) * features, dim=-1)


class CLIPAdapter(Tuner):
    r"""A bottleneck of two layers on the image feature, mixed with it (`adapt`); the class names stay.

    Parameters
    ----------
    ratio : float, default=0.2
        The adapter's share of the mixture.
    reduction : int, default=4
        The bottleneck has D / reduction numbers.
    epochs : int, default=50
        Passes over the shots. The authors' repository states neither this nor the learning rate.
    batch_size : int, default=32
    lr : float, default=0.001
        Of AdamW; it falls to 0 along half a cosine.

    References
    ----------
    Gao et al., CLIP-Adapter: Better Vision-Language Models with Feature Adapters, IJCV 2024, and the authors' code
    (gaopengcuhk/CLIP-Adapter), which is where the ratio and the form without biases are from.
    """

    def __init__(
        self, ratio: float = 0.2, reduction: int = 4, epochs: int = 50, batch_size: int = 32, lr: float = 1e-3
    ):
        self.ratio = ratio
        self.reduction = reduction
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        if not 0 <= self.ratio <= 1 or self.reduction < 1:
            raise OodlibError(f"{self!r}: ratio is a share from 0 to 1, and reduction at least 1.")
        width = concepts.text.shape[1]
        narrow, generator = max(1, width // self.reduction), session.generator()
        # As torch.nn.Linear starts: uniform within one over the root of the number of inputs.
        down = ((torch.rand(narrow, width, generator=generator) * 2 - 1) * width**-0.5).requires_grad_()
        up = ((torch.rand(width, narrow, generator=generator) * 2 - 1) * narrow**-0.5).requires_grad_()

        def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
            adapted = adapt(shots.drawn(rows, generator), down, up, self.ratio)
            return F.cross_entropy(concepts.logit_scale * adapted @ concepts.text.T, shots.labels[rows])

        losses = train(
            {"down": down, "up": up},
            torch.optim.AdamW([down, up], self.lr),
            epochs(len(shots), self.batch_size, self.epochs, session.seed),
            loss_of,
            session,
        )
        learned = {"down": down.detach(), "up": up.detach()}

        def transform(features: Tensor) -> Tensor:
            return adapt(features, learned["down"].to(features), learned["up"].to(features), self.ratio)

        return Tuned(concepts, learned, losses, transform=transform)
