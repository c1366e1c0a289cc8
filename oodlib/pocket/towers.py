"""What the recipe does to the two towers besides stepping: captions, what is frozen, where it starts, how it does."""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.pocket import assemble
from oodlib.pocket.data import Corpus


def encode_captions(model: nn.Module, captions: list[list[str]], folder: Path) -> Tensor:
    """Pooled output of the frozen text tower, before the projection: float (concepts, captions, 384)."""
    tokenizer = open_clip.tokenizer.HFTokenizer(str(folder), context_length=32)
    flat = sorted({caption for group in captions for caption in group}, key=lambda caption: (len(caption), caption))
    pooled, projection = [], model.text.proj
    model.text.proj = nn.Identity()
    with torch.inference_mode():
        for start in track(range(0, len(flat), 512), "encoding captions", console=Console(stderr=True)):
            tokens = tokenizer(flat[start : start + 512])
            longest = int((tokens != tokenizer.tokenizer.pad_token_id).sum(1).max())
            pooled.append(model.text(tokens[:, :longest]))  # padding is masked: cutting it changes nothing but the time
    model.text.proj = projection
    row = {caption: i for i, caption in enumerate(flat)}
    return torch.cat(pooled).clone()[torch.tensor([[row[caption] for caption in group] for group in captions])]


def freeze(model: nn.Module) -> None:
    """Train mode, but for the text tower and the first, largest maps of the image tower: their edges fit any hand."""
    model.train()
    trunk = model.visual.trunk
    for part in (model.text.transformer, trunk.conv_stem, trunk.bn1, trunk.blocks[0], trunk.blocks[1]):
        part.requires_grad_(False)
        part.eval()


def whiten(projection: nn.Module, pooled: Tensor) -> None:
    """Start the text projection from the names' principal directions, each divided by how much the names share it.

    Sentence features of names lie close together; whitened, they differ from the start, and the image tower learns from
    differences.
    """
    features = F.normalize(pooled, dim=-1)
    values, vectors = torch.linalg.eigh(features.T @ features / len(features))
    rows = vectors[:, -assemble.EMBED_DIM :].T * values[-assemble.EMBED_DIM :, None].clamp_min(1e-6) ** -0.5
    with torch.no_grad():
        projection.weight.copy_(rows / rows.norm() * assemble.EMBED_DIM**0.5)


def validate(model: nn.Module, data: Corpus, pooled: Tensor) -> dict[str, float]:
    """Shares of pictures whose name's first caption wins.

    Returns
    -------
    dict
        `pictures`: validation pictures, among all concepts. `concepts`: pictures of the concepts left out, among these;
        only where some are.
    """
    model.visual.eval()

    def features(rows: Tensor) -> Tensor:
        pictures = data.pictures[rows, 0].float() / 127.5 - 1
        return F.normalize(model.visual(pictures.contiguous(memory_format=torch.channels_last)), dim=-1)

    with torch.inference_mode():
        texts = F.normalize(model.text.proj(pooled[:, 0]), dim=-1)
        won = (features(data.validation) @ texts.T).argmax(-1) == data.concept[data.validation]
        found = {"pictures": float(won.float().mean())}
        if len(data.unseen):
            names, place = data.concept[data.unseen].unique(return_inverse=True)
            won = (features(data.unseen) @ texts[names].T).argmax(-1) == place
            found["concepts"] = float(won.float().mean())
        return found
