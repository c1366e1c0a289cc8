"""From whatever a person calls "my images" to features: paths, folders, globs, PIL pictures, arrays.

Every source ends with a feature or with the reason why it has none; one bad file never loses the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from oodlib.concepts import as_list
from oodlib.datasets.folder import Pictures, from_paths
from oodlib.datasets.pixels import as_picture
from oodlib.embeddings.embedding import embed
from oodlib.embeddings.filling import groups_encoded
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


@dataclass(frozen=True, eq=False)
class Seen:
    """Images with their features.

    Parameters
    ----------
    names : tuple of str
        Every image in the order given: its path, or "image 3" for the third picture in memory. Of a path that is not
        UTF-8 it is the spelling of `oodlib.datasets.listing.legible`.
    good : tuple of str
        Those that could be read, n.
    features : Tensor or array
        (n, D) float32, L2-normalised; (0, 0) if none could be read.
    bad : dict of str to str
        The others, with the reason.
    files : dict of str to Path
        Where images that are files lie.
    passed_over : tuple of str
        Files in folders that are not named like pictures.
    """

    names: tuple[str, ...]
    good: tuple[str, ...]
    features: Any
    bad: dict[str, str]
    files: dict[str, Path]
    passed_over: tuple[str, ...] = ()


def look(encoder: Encoder | LightEncoder, images: Any, *, progress: bool = False, home: Path | None = None) -> Seen:
    """Features of images. Those of files are kept, so that the same files are never encoded twice.

    Parameters
    ----------
    encoder : Encoder or LightEncoder
    images : path, str, PIL image, array, or an iterable of one of these kinds
        A string or path names a file, a folder or a glob. An array is (H, W), (H, W, 3) or (H, W, 4), whole numbers up
        to 255 (uint16: up to 65,535) or fractions from 0 to 1, as `oodlib.datasets.pixels.eight_bits` takes them; a
        batch is (N, H, W, 3) or (N, H, W, 4).
    progress : bool
        Show a progress bar on standard error.
    home : Path, optional
        Cache folder.

    Returns
    -------
    Seen

    Raises
    ------
    OodlibError
        If there are no images, or files and pictures are mixed.
    """
    kind = getattr(getattr(images, "dtype", None), "kind", "")
    if (kind in ("O", "U", "T") or hasattr(images, "to_pylist")) and not isinstance(images, str):
        images = as_list(images, "images")  # a column of paths
    if isinstance(images, str | os.PathLike | Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
        images = [images]
    if not isinstance(images, Iterable):
        raise OodlibError(f"images must be paths, PIL images or arrays, not {type(images).__name__}")
    items = list(images)
    if not items:
        raise OodlibError("there are no images: pass at least one")
    if any(isinstance(item, str) and not item for item in items):  # as a path that would be the current folder
        raise OodlibError("one of the paths is empty: name a file or a folder, or leave it out")
    paths = [isinstance(item, str | os.PathLike) for item in items]
    if all(paths):
        return look_at(encoder, from_paths([Path(item) for item in items]), progress=progress, home=home)
    if any(paths):
        raise OodlibError("some images are paths and some are pictures: pass the two kinds in two calls")
    names = tuple(f"image {place}" for place in range(1, len(items) + 1))
    from rich.console import Console
    from rich.progress import Progress

    encode = groups_encoded(encoder, len(items))
    with Progress(console=Console(stderr=True), disable=not progress, transient=True) as bar:
        task = bar.add_task("embedding images", total=len(items))
        ((features, bad),) = encode([items], as_picture, tolerate=True, advance=lambda count: bar.advance(task, count))
    good = tuple(name for place, name in enumerate(names) if place not in bad)
    return Seen(names, good, features, {names[place]: reason for place, reason in bad.items()}, {})


def look_at(
    encoder: Encoder | LightEncoder, found: Pictures, *, progress: bool = False, home: Path | None = None
) -> Seen:
    """Features of files that were found, as `look` gives them."""
    listing = found.listing
    shown = {row.id: row.shown for row in listing.rows}
    files = dict(zip(shown.values(), listing.paths(), strict=True))
    if not len(listing):
        return Seen(found.order, (), np.empty((0, 0), np.float32), found.bad, files, found.passed_over)
    kept = embed(encoder, listing, progress=progress, home=home, tolerate=True)
    bad = found.bad | {shown[identity]: reason for identity, reason in kept.bad.items()}
    good = tuple(shown[identity] for identity in kept.ids)
    return Seen(found.order, good, kept.features, bad, files, found.passed_over)
