"""Drawings that are damaged on purpose: out of focus, full of noise, or covered in part; each in one way, drawn once.

What happens to a picture follows from its id alone, so that the same pictures are damaged alike on every machine.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

from oodlib.cache import home_folder
from oodlib.datasets.base import Manifest
from oodlib.datasets.drawn import to_draw, whole
from oodlib.errors import OodlibError

WAYS = ("blurred", "noisy", "covered")
TABLES = ("manifest.csv",)
RULES = 1  # raise when a rule below changes: it is part of the folder's name
BLUR = 1 / 20  # radius of the Gaussian, of the picture's width
NOISE = 100  # standard deviation, of 255
COVER = 0.65  # side of the grey square, of the picture's shorter side


def damage(picture: Image.Image, way: str, seed: int = 0) -> Image.Image:
    """A picture after one of `WAYS`, in RGB and of the same size.

    Parameters
    ----------
    picture : PIL image
    way : {"blurred", "noisy", "covered"}
    seed : int
        Of the noise, and of where the cover lies.

    Raises
    ------
    OodlibError
        If there is no such way.
    """
    picture = picture.convert("RGB")
    rng = np.random.default_rng(seed)
    if way == "blurred":
        return picture.filter(ImageFilter.GaussianBlur(BLUR * picture.width))
    if way == "noisy":
        pixels = np.asarray(picture, dtype=np.float64)
        noisy = np.rint(pixels + NOISE * rng.standard_normal(pixels.shape)).clip(0, 255)
        return Image.fromarray(noisy.astype(np.uint8))
    if way == "covered":
        side = round(COVER * min(picture.size))
        left, top = (int(rng.integers(0, length - side + 1)) for length in picture.size)
        ImageDraw.Draw(picture).rectangle((left, top, left + side - 1, top + side - 1), fill=(128, 128, 128))
        return picture
    raise OodlibError(f"there is no way {way!r} to damage a picture: choose one of {', '.join(WAYS)}")


def damaged(pictures: Manifest, home: Path | None = None) -> Manifest:
    """A damaged twin of each picture, drawn the first time and kept.

    Parameters
    ----------
    pictures : Manifest
        With the columns `concept` and `hand`.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.

    Returns
    -------
    Manifest
        Rows in the order of `pictures`. Extra columns: concept, hand, way, and `of`, the id of the whole picture.

    Raises
    ------
    OodlibError
        If a picture cannot be read, or the cache folder cannot be written.
    """
    key = hashlib.sha256(f"{RULES}:{pictures.digest}".encode()).hexdigest()[:12]
    target = home_folder(home) / "datasets" / f"damaged-{key}"
    if not whole(target, TABLES):
        with to_draw(target, TABLES, "the damaged pictures") as place:
            if place is not None:
                _draw_all(place, pictures)
    return Manifest("damaged", target, pd.read_csv(target / TABLES[0], dtype=str, keep_default_na=False))


def _draw_all(place: Path, pictures: Manifest) -> None:
    rows = []
    for path, row in zip(pictures.paths(), pictures.table.itertuples(), strict=True):
        fate = hashlib.sha256(f"damaged:{row.id}".encode())
        number = int.from_bytes(fate.digest()[:8], "big")
        way = WAYS[number % len(WAYS)]
        file = f"{fate.hexdigest()[:16]}.png"
        try:
            with Image.open(path) as opened:
                picture = damage(opened, way, number)
        except OSError as error:
            raise OodlibError(f"cannot read {path} ({error}): delete its folder, so that it is drawn again") from error
        picture.save(place / file, compress_level=1)
        pixels = hashlib.sha256(picture.tobytes()).hexdigest()
        rows.append({"id": file, "uri": file, "label": row.label, "split": "damaged", "sha256": pixels})
        rows[-1] |= {"pixels": pixels, "concept": row.concept, "hand": row.hand, "way": way, "of": row.id}
    pd.DataFrame(rows).to_csv(place / TABLES[0], index=False)
