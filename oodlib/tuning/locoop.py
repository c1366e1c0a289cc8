"""LoCoOp: CoOp that also learns what the background of its shots is not."""

from __future__ import annotations

import torch
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.tuning.base import Shots
from oodlib.tuning.coop import CoOp


def background_entropy(logits: Tensor, labels: Tensor, top: int) -> Tensor:
    r"""Mean entropy of the patches that do not show their picture's class.

    A patch counts as background where the label is not among its `top` classes. With :math:`q` the softmax of a patch,

    .. math:: H = -\sum_c q_c \log(q_c + 10^{-5}),

    averaged over all background patches of the batch; 0 where there is none.

    Parameters
    ----------
    logits : Tensor
        (B, P, C).
    labels : Tensor
        int64 (B,).
    top : int
        From 1 to C. At C no patch is background.

    Returns
    -------
    Tensor
        A number.
    """
    shares = logits.softmax(dim=-1)
    best = shares.topk(top, dim=-1).indices
    background = (best != labels[:, None, None]).all(dim=-1)
    if not background.any():
        return logits.new_zeros(())
    chosen = shares[background]
    return -(chosen * (chosen + 1e-5).log()).sum(dim=-1).mean()


class LoCoOp(CoOp):
    r"""Prompt learning that pushes the background of its shots away from every class name.

    The loss is CoOp's minus `weight` times the mean entropy of the background patches (`background_entropy`): they
    shall match no class better than another. Shots need local features (`Encoder.encode_patches`).

    Parameters
    ----------
    context, epochs, batch_size, lr, weight_decay
        Those of `CoOp`; the authors have 16 random vectors and 50 epochs.
    weight : float, default=0.25
    top : float, default=0.2
        A patch is background where its picture's class is not among its best; this is how many, as a share of the
        classes. The authors' 200 of ImageNet's 1,000; for other class lists they say to choose again.

    References
    ----------
    Miyai et al., LoCoOp: Few-Shot Out-of-Distribution Detection via Prompt Learning, NeurIPS 2023, and the authors'
    code (AtsuMiyai/LoCoOp).
    """

    needs = "patches"

    def __init__(
        self,
        context: int | str = "a photo of a",
        epochs: int = 50,
        batch_size: int = 32,
        lr: float = 2e-3,
        weight_decay: float = 5e-4,
        weight: float = 0.25,
        top: float = 0.2,
    ):
        super().__init__(context, epochs, batch_size, lr, weight_decay)
        self.weight = weight
        self.top = top

    def loss(self, text: Tensor, concepts: Concepts, shots: Shots, rows: Tensor, generator: torch.Generator) -> Tensor:
        """CoOp's loss minus the weighted entropy of the background, on the same views."""
        again = generator.get_state()
        classes = super().loss(text, concepts, shots, rows, generator)
        patches = shots.drawn(rows, generator.set_state(again), "patches").to(text)
        top = max(1, round(self.top * len(text)))
        entropy = background_entropy(concepts.logit_scale * patches @ text.T, shots.labels[rows].to(text.device), top)
        return classes - self.weight * entropy
