"""A few labelled pictures as shots: random views of them, encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2

from oodlib.datasets.base import Manifest
from oodlib.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.images import read_image, to_rgb
from oodlib.tuning.base import Shots


def take_shots(
    encoder: Encoder,
    manifest: Manifest,
    names: Sequence[str],
    *,
    views: int = 4,
    seed: int = 0,
    patches: bool = False,
    pictures: bool = False,
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

    Raises
    ------
    OodlibError
        If a picture shows none of the classes.
    """
    place = {name: index for index, name in enumerate(names)}
    unknown = sorted(set(manifest.table["label"]) - set(place))
    if unknown:
        raise OodlibError(f"{unknown[0]!r} is the label of a shot, but no class: leave its pictures out.")
    if views < 1:
        raise OodlibError("views must be at least 1: the picture as it is.")
    crop = v2.Compose(
        [
            v2.RandomResizedCrop(_side(encoder), scale=(0.5, 1.0), interpolation=InterpolationMode.BICUBIC),
            v2.RandomHorizontalFlip(),
        ]
    )
    read = [to_rgb(read_image(path)) for path in manifest.paths()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drawn: list[list[Image.Image]] = [read, *([crop(picture) for picture in read] for _ in range(views - 1))]
    prepared = torch.stack([encoder.prepare(view) for view in drawn])
    return Shots(
        features=torch.stack([encoder.encode_images(view) for view in prepared]),
        labels=torch.tensor([place[name] for name in manifest.table["label"]]),
        patches=torch.stack([encoder.encode_patches(view) for view in prepared]) if patches else None,
        pictures=prepared if pictures else None,
    )


def _side(encoder: Encoder) -> int:
    size = encoder.spec["preprocess"]["size"]
    return size if isinstance(size, int) else max(size)
