"""PocketCLIP's "no" head, in CLIPN's manner: what the picture of a thing that a name does *not* name looks like.

CLIPN (Wang et al., ICCV 2023) copies the text tower and teaches the copy to say "no". PocketCLIP's tower is frozen, so
its head is one affine map beside the projection: `no = normalise(A p + b)` of the tower's pooled output `p`. It learns
from kept features of the pretraining hands, so it takes a minute. Images and "yes" texts stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.data import Corpus

HEAD = Path(__file__).with_name("no_head.safetensors")


@dataclass(frozen=True)
class NoRecipe:
    """All that decides the head, besides the encoder and the corpus."""

    steps: int = 600
    batch: int = 256
    rate: float = 1e-3
    seed: int = 0


def clipn_loss(images: Tensor, yes: Tensor, no: Tensor, concept: Tensor, scale: float) -> Tensor:
    r"""CLIPN's loss: half the sum of its three parts.

    .. math:: p^{no}_{ij} = \frac{e^{\kappa v_i^\top n_j}}{e^{\kappa v_i^\top t_j} + e^{\kappa v_i^\top n_j}}

    A picture says yes to its own name (mean of -log(1 - p)) and no to every other (mean of -log p); and a name's "yes"
    and "no" lie apart, :math:`2 - \|t_j - n_j\|`.

    Parameters
    ----------
    images : Tensor
        L2-normalised features, (B, D).
    yes, no : Tensor
        L2-normalised features of every concept, (C, D).
    concept : Tensor
        int64 (B,): the concept of each picture.
    scale : float
        Factor on the cosine.
    """
    margin = scale * (images @ (yes - no).T)  # log-odds of "yes", (B, C)
    own = F.one_hot(concept, len(yes)).bool()
    apart = 2 - (2 - 2 * (yes * no).sum(-1) + 1e-4).sqrt()
    return (-F.logsigmoid(margin[own]).mean() - F.logsigmoid(-margin[~own]).mean() + apart.mean()) / 2


def train(encoder: Encoder, data: Corpus, recipe: NoRecipe) -> tuple[dict[str, Tensor], list[float]]:
    """Learn the head on the corpus; returns its tensors and the loss of every step."""
    chosen = data.training(icon=False)
    styles = data.pictures.shape[1]
    features = torch.stack(
        [encoder.encode_images(data.pictures[chosen, s].float() / 127.5 - 1, batch_size=32) for s in range(styles)], 1
    )
    names = data.concept[chosen].unique()
    owner = torch.searchsorted(names, data.concept[chosen])
    words = encoder.pooled([data.captions[index][0] for index in names.tolist()])
    projection = encoder.model.text.proj
    with torch.no_grad():
        yes = F.normalize(projection(words), dim=-1)
        head = nn.Linear(words.shape[1], yes.shape[1])
        # It starts as "any picture, but not the one the name names".
        head.weight.copy_(-projection.weight)
        head.bias.copy_(features.mean((0, 1)) * projection(words).norm(dim=-1).mean())
    generator = torch.Generator().manual_seed(recipe.seed)
    optimizer = torch.optim.AdamW(head.parameters(), recipe.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    losses = []
    for _ in range(recipe.steps):
        rows = torch.randint(len(chosen), (recipe.batch,), generator=generator)
        style = torch.randint(styles, (recipe.batch,), generator=generator)
        no = F.normalize(head(words), dim=-1)
        loss = clipn_loss(features[rows, style], yes, no, owner[rows], encoder.logit_scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return {"weight": head.weight.detach().half(), "bias": head.bias.detach().half()}, losses
