"""Reading files that strangers made: every file is either a clean RGB picture or one clear error.

What is kept of a picture is kept under the hash that its list has. The file may change after it was listed, so its
bytes are read once, compared to the hash, and these bytes are decoded.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from oodlib.datasets.listing import Listed, legible
from oodlib.datasets.pixels import MAX_PIXELS, to_rgb
from oodlib.errors import OodlibError

MAX_BYTES = 2**30  # of a listed file, which is read as a whole: more than 100 megapixels of any kind take

Read = Callable[[Any], Image.Image]


class ChangedError(OodlibError):
    """A listed picture is not there as it was listed. That may be otherwise tomorrow, so it is never kept."""


class Passing(str):
    """The sentence of a `ChangedError`, where reasons are collected."""


def read_image(source: Path | str | Listed, at_least: int | None = None) -> Image.Image:
    """Decode one picture file.

    Parameters
    ----------
    source : Path, str or Listed
        Any format that Pillow reads. Of an animation the first frame is taken.
    at_least : int, optional
        Decode a JPEG at 1/2, 1/4 or 1/8 of its size, the smallest whose shorter side has so many pixels and that
        divides both sides evenly. libjpeg then computes a few frequencies of each block instead of all 64. By default
        the size stays.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, upright, transparency on white; `oodlib.datasets.pixels.to_rgb` tells what greys of 16 bits become.

    Raises
    ------
    OodlibError
        If the file is missing, empty, truncated, no picture, or larger than 100 megapixels, or `to_rgb` refuses it. As
        `ChangedError` if a listed file cannot be read, or holds something else than its list says.
    """
    path = source.path if isinstance(source, Listed) else source
    remedy = "remove it, or replace it by a whole picture"
    try:
        with warnings.catch_warnings():
            # Pillow only warns of pictures between its own limit and twice it; the limit here is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(_content(source) if isinstance(source, Listed) else source) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise OodlibError(
                        f"the picture {path} has {picture.width} x {picture.height} pixels: scale it down first"
                    )
                if at_least is not None:
                    _scale_down(picture, at_least)
                rgb = to_rgb(picture, f"the picture {path}")
        if isinstance(source, Listed) and source.pixels and _sha256(rgb.tobytes()) != source.pixels:
            raise ChangedError(
                f"{path} is not the picture that was drawn: delete its data set's folder to draw all again"
            )
        return rgb
    except FileNotFoundError:
        raise OodlibError(f"the picture {path} does not exist: check the path") from None
    except IsADirectoryError:
        raise OodlibError(f"{path} is a folder, not a picture: name the files in it") from None
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise OodlibError(f"{path} cannot be read as a picture ({type(error).__name__}): {remedy}") from None
    except OodlibError:
        raise
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        raise OodlibError(f"the picture {path} is damaged ({error}): {remedy}") from error


def _content(listed: Listed) -> io.BytesIO:
    """The bytes of a file, if they are those that were listed."""
    try:
        with listed.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise OodlibError(f"the picture {listed.path} has {size / 1e9:.1f} GB: scale it down first")
            content = file.read()
    except FileNotFoundError:
        raise ChangedError(f"the picture {listed.path} does not exist: check the path") from None
    except OSError as error:
        said = error.strerror or error
        raise ChangedError(f"the picture {listed.path} can no longer be opened ({said}): check the path") from None
    if not listed.pixels and _sha256(content) != listed.sha256:
        raise ChangedError(f"the picture {listed.path} changed after it was listed: run it again")
    return io.BytesIO(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _scale_down(picture: Image.Image, at_least: int) -> None:
    """Have a JPEG decoded at a smaller scale; other formats know none and stay as they are."""
    width, height = picture.size
    # Uneven sides would be rounded up: the picture would change its shape, and the middle would shift.
    fits = (by for by in (8, 4, 2) if width % by == height % by == 0 and min(width, height) // by >= at_least)
    if by := next(fits, None):
        picture.draft(None, (width // by, height // by))


def readable(
    batch: Sequence[Any], start: int, read: Read, bad: dict[int, str], tolerate: bool
) -> Iterator[Image.Image]:
    """Those of a batch that can be read, one by one, so that each is let go when it is preprocessed.

    Parameters
    ----------
    batch : sequence
        Paths, listed files, arrays or pictures.
    start : int
        The place of the first one in its group.
    read : callable
        From a source to a picture, or `OodlibError` with the reason.
    bad : dict of int to str
        Gets the place and the reason of each of the others, a `Passing` one where it must not be kept.
    tolerate : bool
        Whether to go on without a source that cannot be read; else its error is raised.
    """
    for place, source in enumerate(batch, start):
        try:
            picture = read(source)
        except OodlibError as error:
            if not tolerate:
                raise
            bad[place] = _reason(error, source)
        else:
            yield picture


def _reason(error: OodlibError, source: Any) -> str:
    """What is wrong, without the folder: the reason is kept, and the folder may be moved."""
    path = source.path if isinstance(source, Listed) else source
    reason = legible(str(error).replace(str(path), path.name) if isinstance(path, Path) else str(error))
    return Passing(reason) if isinstance(error, ChangedError) else reason
