"""PocketCLIP's "no" head, in CLIPN's manner: what the picture of a thing that a name does *not* name looks like.

CLIPN (Wang et al., ICCV 2023) copies the text tower and teaches the copy to say "no". PocketCLIP's tower is frozen, so
its head is one affine map beside the projection: `no = normalise(A p + b)` of the tower's pooled output `p`. It learns
from kept features of the pretraining hands, so it takes a minute. Images and "yes" texts stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.errors import OodlibError
from oodlib.prompts.sets import ensemble, fill

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


def pooled(encoder: Encoder, prompts: Sequence[str], batch_size: int = 256) -> Tensor:
    """Output of the frozen text tower before its projection, (N, 384)."""
    text = encoder.model.text
    projection, text.proj = text.proj, nn.Identity()
    try:
        parts = []
        for start in range(0, len(prompts), batch_size):
            with torch.no_grad():
                parts.append(text(encoder.tokens(prompts[start : start + batch_size]).to(encoder.device)).cpu())
        return torch.cat(parts)
    finally:
        text.proj = projection


def train(encoder: Encoder, data: Corpus, recipe: NoRecipe) -> tuple[dict[str, Tensor], list[float]]:
    """Learn the head on the corpus; returns its tensors and the loss of every step."""
    chosen = data.training(icon=False)
    styles = data.pictures.shape[1]
    features = torch.stack(
        [encoder.encode_images(data.pictures[chosen, s].float() / 127.5 - 1, batch_size=32) for s in range(styles)], 1
    )
    names = data.concept[chosen].unique()
    owner = torch.searchsorted(names, data.concept[chosen])
    words = pooled(encoder, [data.captions[index][0] for index in names.tolist()])
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


def encode_no(
    encoder: Encoder, names: Sequence[str], templates: Sequence[str] | None = None, head: Path = HEAD
) -> Tensor:
    """What the "no" head makes of names: (C, D) float32, L2-normalised, in the space of `encoder.encode_texts`.

    Parameters
    ----------
    encoder : Encoder
        PocketCLIP; another model has no such head.
    names : sequence of str
    templates : sequence of str, optional
        The same *positive* prompts as for the "yes" features: the head does the negation.
    head : Path
        The head's tensors.

    Raises
    ------
    OodlibError
        If the encoder is not PocketCLIP, or the head is missing or damaged.
    """
    if encoder.spec["model"] != "pocket":
        raise OodlibError(f"{encoder.spec['model']} has no 'no' head: it belongs to the encoder 'pocket'")
    try:
        tensors = load_file(head)
        weight, bias = tensors["weight"].float(), tensors["bias"].float()
    except (FileNotFoundError, SafetensorError, KeyError) as error:
        raise OodlibError(f"PocketCLIP's 'no' head {head} is damaged ({error}): check the file out again") from error
    prompts = tuple(templates) if templates is not None else ("{}",)
    features = F.normalize(F.linear(pooled(encoder, fill(list(names), prompts)), weight, bias), dim=-1)
    means: Tensor = ensemble(features.view(len(names), len(prompts), -1))
    return means


@dataclass(frozen=True)
class NoTexts:
    """PocketCLIP's "no" head as `oodlib.embeddings.embed_texts` takes an encoder: its features are kept, too."""

    encoder: Encoder

    @property
    def digest(self) -> str:
        """SHA-256 of the model's digest and the head's file."""
        return hashlib.sha256(self.encoder.digest.encode() + HEAD.read_bytes()).hexdigest()

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] | None = None) -> Tensor:
        """As `encode_no`."""
        return encode_no(self.encoder, texts, templates)

    def as_features(self, kept: np.ndarray) -> Tensor:
        """Kept features, as this head gives them."""
        return self.encoder.as_features(kept)
