"""A small vision transformer that sees drawings in patches, and can be shown some of them masked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from oodlib.errors import OodlibError

SIDE, PATCH, WIDTH, DEPTH, HEADS = 48, 8, 128, 4, 2
PATCHES = SIDE // PATCH  # in a row
# A square of 2 x 2 patches is hidden as a whole: a single one could be guessed from its neighbours' edges.
SQUARES = PATCHES // 2
NAMES = ("masked", "named", "masked-then-named")


class PatchTower(nn.Module):
    """The transformer, with what it takes to learn from masked pictures.

    Its feature is the layer-normalised mean of the patches, (B, 128), as BEiT's and MOOD's: there is no class token.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vit = timm.models.VisionTransformer(
            img_size=SIDE,
            patch_size=PATCH,
            embed_dim=WIDTH,
            depth=DEPTH,
            num_heads=HEADS,
            class_token=False,
            global_pool="avg",
            num_classes=0,
        )
        self.mask_token = nn.Parameter(0.02 * torch.randn(WIDTH))
        self.decoder = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * PATCH**2))

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures scaled to [-1, 1]: (B, 3, 48, 48) -> (B, 128)."""
        return cast(Tensor, self.vit(pictures))

    def restored(self, pictures: Tensor, hidden: Tensor) -> Tensor:
        """What the tower thinks that all patches look like, where some are hidden from it.

        Parameters
        ----------
        pictures : Tensor
            float (B, 3, 48, 48) in [-1, 1].
        hidden : Tensor
            bool (B, 36): the hidden patches, row by row.

        Returns
        -------
        Tensor
            float (B, 36, 192): the pixels of each patch, as `patches` lays them out.
        """
        tokens = torch.where(hidden[..., None], self.mask_token, self.vit.patch_embed(pictures))
        return cast(Tensor, self.decoder(self.vit.blocks(self.vit._pos_embed(tokens))))


def untaught() -> PatchTower:
    """The tower that all shipped ones set out from; torch's own random numbers stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return PatchTower()


def patches(pictures: Tensor) -> Tensor:
    """Pixels by patch, row by row: (B, 3, 48, 48) -> (B, 36, 192)."""
    cut = pictures.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    return cut.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def hide(pictures: int, squares: int, generator: torch.Generator) -> Tensor:
    """Which patches to hide: so many of the 9 squares of each picture, at random; bool (pictures, 36)."""
    order = torch.rand(pictures, SQUARES**2, generator=generator).argsort(1)
    chosen = (order < squares).view(pictures, SQUARES, SQUARES)
    return chosen.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1)


def weights_file(name: str) -> Path:
    """Where a shipped tower's weights lie: `name` is one of `NAMES`."""
    if name not in NAMES:
        raise OodlibError(f"there is no tower {name!r}: choose one of {', '.join(NAMES)}")
    return Path(__file__).with_name(f"tower_{name.replace('-', '_')}.safetensors")


def load_patch_tower(name: str, file: Path | None = None) -> tuple[PatchTower, dict[str, Any]]:
    """A shipped tower with its weights in float32, and how it was made: its recipe and the log of its training.

    Parameters
    ----------
    name : {"masked", "named", "masked-then-named"}
        What it was taught by: hidden patches, names, or first the one and then the other.
    file : Path, optional
        Other weights than the shipped ones.

    Raises
    ------
    OodlibError
        If there is no such tower, or its file is missing or damaged.
    """
    path = file or weights_file(name)
    tower = PatchTower()
    try:
        with safe_open(path, "pt") as kept:
            state = {key: kept.get_tensor(key).float() for key in kept.keys()}  # noqa: SIM118  # no mapping
            about = {key: json.loads(text) for key, text in kept.metadata().items()}
        tower.vit.load_state_dict(state)
    except (OSError, SafetensorError, ValueError, RuntimeError, AttributeError) as error:
        raise OodlibError(
            f"the weights of the tower {name!r} cannot be read ({' '.join(str(error).split())}): check out {path} again"
        ) from None
    return tower, about
