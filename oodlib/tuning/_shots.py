"""A few labelled pictures as shots: random views of them, encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from oodlib.datasets.base import Manifest
from oodlib.datasets.images import read_image
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning._stages import encode_parts
from oodlib.tuning.base import Shots

CHUNK = 512  # pictures read at a time: of thousands of photographs only the features are kept


def take_shots(
    encoder: Encoder,
    manifest: Manifest,
    names: Sequence[str],
    *,
    views: int = 4,
    seed: int = 0,
    patches: bool = False,
    pictures: bool = False,
    frozen: int = 0,
) -> Shots:
    """Read the pictures of a manifest, draw random views of each and encode them.

    A view is a random crop, mirrored or not, as few-shot methods for CLIP draw it; augmentation makes no more shots of
    one. The first view is the picture as it is.

    Parameters
    ----------
    encoder : Encoder
    manifest : Manifest
        The pictures; their labels must be among `names`.
    names : sequence of str
        Class names, in the order of the concepts.
    views : int
        Views of each picture, A.
    seed : int
        Of the crops.
    patches, pictures : bool
        Whether to keep local features, and the prepared views, for methods that need them.
    frozen : int
        Keep what so many first stages of the image tower make of the views in place of the views, which are larger:
        methods that leave these stages as they are (their parameter `frozen`) need no more.

    Raises
    ------
    OodlibError
        If a picture shows none of the classes, or `frozen` is passed and `pictures` is not.
    """
    place = {name: index for index, name in enumerate(names)}
    unknown = sorted(set(manifest.table["label"]) - set(place))
    if unknown:
        raise OodlibError(f"{unknown[0]!r} is the label of a shot, but no class: leave its pictures out.")
    if views < 1:
        raise OodlibError("views must be at least 1: the picture as it is.")
    if frozen and not pictures:
        raise OodlibError(f"frozen={frozen} is about the pictures of shots: pass pictures=True, too, or leave it out.")
    crop = v2.Compose(
        [
            v2.RandomResizedCrop(_side(encoder), scale=(0.5, 1.0), interpolation=InterpolationMode.BICUBIC),
            v2.RandomHorizontalFlip(),
        ]
    )
    files = manifest.files()
    parts: list[Shots] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for start in range(0, len(files), CHUNK):
            read = [read_image(file) for file in files[start : start + CHUNK]]
            drawn: list[list[Image.Image]] = [read, *([crop(picture) for picture in read] for _ in range(views - 1))]
            prepared = torch.stack([encoder.prepare(view) for view in drawn])
            labels = torch.tensor([place[name] for name in manifest.table["label"][start : start + CHUNK]])
            parts.append(_encoded(encoder, prepared, labels, patches=patches, pictures=pictures, frozen=frozen))
    return parts[0] if len(parts) == 1 else _joined(parts)


def _encoded(
    encoder: Encoder, prepared: Tensor, labels: Tensor, *, patches: bool, pictures: bool, frozen: int
) -> Shots:
    views = [encode_parts(encoder, view, frozen, patches=patches) for view in prepared]
    return Shots(
        features=torch.stack([view.features for view in views]),
        labels=labels,
        patches=torch.stack([view.patches for view in views]) if patches else None,  # type: ignore[misc]
        pictures=torch.stack([view.maps for view in views]) if pictures else None,
        frozen=frozen,
    )


def _joined(parts: Sequence[Shots]) -> Shots:
    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else torch.cat(values, dim=1)

    labels = torch.cat([part.labels for part in parts])
    return Shots(joined("features"), labels, joined("patches"), joined("pictures"), parts[0].frozen)


def _side(encoder: Encoder) -> int:
    size = encoder.spec["preprocess"]["size"]
    return size if isinstance(size, int) else max(size)
