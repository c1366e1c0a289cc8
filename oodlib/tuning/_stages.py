"""An image tower in two parts: first stages that stay as they are, so that their maps can be kept, and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from open_clip.timm_model import TimmModel
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.datasets.base import Manifest
from oodlib.datasets.images import read_image
from oodlib.encoders.encoder import Encoder
from oodlib.encoders.patches import at_places
from oodlib.errors import OodlibError

BATCH = 16  # pictures at once: on a CPU their maps stay in the cache of a core


def begin(visual: Any, frozen: int, pictures: Tensor) -> Tensor:
    """What the first stages make of prepared pictures (n, 3, H, W); with `frozen` = 0 the pictures themselves.

    A stage is one of an EfficientNet's groups of blocks; what comes before the first group belongs to it.

    Raises
    ------
    OodlibError
        If the tower has no such stages.
    """
    if not frozen:
        return pictures
    trunk = _trunk(visual, frozen)
    maps = trunk.bn1(trunk.conv_stem(pictures.contiguous(memory_format=torch.channels_last)))
    found: Tensor = trunk.blocks[:frozen](maps)
    return found


def finish(visual: Any, frozen: int, maps: Tensor) -> Tensor:
    """What the rest of the tower makes of the maps that `begin` gave: features (n, D), differentiable."""
    maps = maps.contiguous(memory_format=torch.channels_last)
    rest = visual.head(visual.trunk.forward_head(_last(visual, frozen, maps))) if frozen else visual(maps)
    return cast(Tensor, rest)


def trained_part(visual: nn.Module, frozen: int) -> dict[str, nn.Parameter]:
    """The parameters that `finish` reads, by name."""
    if not frozen:
        return dict(visual.named_parameters())
    trunk = _trunk(visual, frozen)
    fixed = {id(p) for part in (trunk.conv_stem, trunk.bn1, trunk.blocks[:frozen]) for p in part.parameters()}
    return {name: parameter for name, parameter in visual.named_parameters() if id(parameter) not in fixed}


@dataclass(frozen=True, eq=False)
class Parts:
    """What one pass makes of pictures: features (n, D), patches (n, P, D) where asked for, and maps (n, ...)."""

    features: Tensor
    patches: Tensor | None
    maps: Tensor


@torch.inference_mode()
def encode_parts(encoder: Encoder, prepared: Tensor, frozen: int, *, patches: bool = False) -> Parts:
    """Features, patches and maps of prepared pictures (n, 3, H, W) in one pass, as the encoder gives them, on the CPU.

    Maps are what `begin` makes of the pictures. A tower without stages, with `frozen` = 0, takes a pass for patches.
    """
    if not frozen:
        local = encoder.encode_patches(prepared, BATCH) if patches else None
        return Parts(encoder.encode_images(prepared, BATCH), local, prepared)
    visual = encoder.model.visual
    found: list[tuple[Tensor, ...]] = []
    for some in prepared.split(BATCH):
        maps = begin(visual, frozen, some.to(encoder.device))
        last = _last(visual, frozen, maps)
        outputs = [visual.head(visual.trunk.forward_head(last)), *([at_places(visual, last)] if patches else [])]
        found.append((maps, *(F.normalize(part.float(), dim=-1) for part in outputs)))
    kept, features, *places = [torch.cat(part).cpu().clone() for part in zip(*found, strict=True)]
    return Parts(features, places[0] if places else None, kept)


def encode_manifest(encoder: Encoder, manifest: Manifest, frozen: int, *, patches: bool = False) -> Parts:
    """`encode_parts` of the pictures of a manifest, each read once and let go."""
    files = manifest.files()
    found = [
        encode_parts(encoder, encoder.prepare(map(read_image, files[k : k + BATCH])), frozen, patches=patches)
        for k in range(0, len(files), BATCH)
    ]
    local = [part.patches for part in found if part.patches is not None]
    joined = torch.cat(local) if local else None
    return Parts(torch.cat([part.features for part in found]), joined, torch.cat([part.maps for part in found]))


@torch.inference_mode()
def features_of_maps(encoder: Encoder, maps: Tensor, frozen: int) -> Tensor:
    """Image features from kept maps, as `Encoder.encode_images` gives them of the pictures: (n, D) on the CPU."""
    visual = encoder.model.visual
    parts = [finish(visual, frozen, some.to(encoder.device)).float() for some in maps.split(BATCH)]
    return F.normalize(torch.cat(parts), dim=-1).cpu().clone()


def _last(visual: Any, frozen: int, maps: Tensor) -> Tensor:
    """The tower's last map."""
    trunk = _trunk(visual, frozen)
    found: Tensor = trunk.bn2(trunk.conv_head(trunk.blocks[frozen:](maps)))
    return found


def _trunk(visual: Any, frozen: int) -> Any:
    if not isinstance(visual, TimmModel) or not isinstance(visual.trunk, EfficientNet):
        raise OodlibError(f"{type(visual).__name__} has no stages that can be frozen: tune all of it, with frozen=0.")
    if not 0 < frozen < len(visual.trunk.blocks):
        raise OodlibError(f"frozen={frozen}: the tower has {len(visual.trunk.blocks)} stages, and the last are tuned.")
    return visual.trunk
