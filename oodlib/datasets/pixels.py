"""From a picture of any kind, Pillow's or an array, to the RGB picture of 8 bits that models see: one rule for all.

What a number means as a pixel follows from its *kind*, never from the other numbers of the picture: a dark picture
stays dark beside the others of its set.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from oodlib.errors import OodlibError

# 100 megapixels: above any camera in common use, and 300 MB as RGB.
MAX_PIXELS = 100_000_000


def eight_bits(numbers: np.ndarray, called: str = "the picture") -> np.ndarray:
    """Pixels as whole numbers up to 255.

    Parameters
    ----------
    numbers : array
        Truth values: False is 0 and True is 255. Fractions from 0 to 1: times 255, rounded. Unsigned numbers of 16
        bits: divided by 257, rounded down. All other whole numbers: as they are, from 0 to 255.
    called : str
        What an error calls the picture.

    Returns
    -------
    array of uint8

    Raises
    ------
    OodlibError
        If a number is out of its range, NaN or masked, or these are no numbers.

    Examples
    --------
    >>> eight_bits(np.array([0, 110 * 257, 65535], np.uint16))
    array([  0, 110, 255], dtype=uint8)
    """
    if np.ma.is_masked(numbers):
        raise OodlibError(f"{called} has masked pixels: fill them in, for example with array.filled(0)")
    numbers = np.asarray(numbers)
    kind, size = numbers.dtype.kind, numbers.dtype.itemsize
    if kind == "b":
        return np.where(numbers, np.uint8(255), np.uint8(0))
    if kind == "f":
        low, high = numbers.min(), numbers.max()
        if not np.isfinite([low, high]).all():
            raise OodlibError(f"{called} has NaN or infinite pixels, not only numbers from 0 to 1: fill them in")
        if low < 0 or high > 1:
            raise OodlibError(
                f"{called} has fractions that are not all from 0 to 1 (they go from {low:.4g} to {high:.4g}): divide "
                "by the largest value a pixel can have"
            )
        pixels: np.ndarray = (numbers * numbers.dtype.type(255)).round().astype(np.uint8)
        return pixels
    if kind == "u" and size == 2:
        return (numbers // 257).astype(np.uint8)
    if kind not in "iu" or numbers.min() < 0 or numbers.max() > 255:
        raise OodlibError(
            f"{called} has numbers ({numbers.dtype}) that are not all from 0 to 255: convert it to uint8, or to uint16 "
            "where white is 65,535"
        )
    return numbers.astype(np.uint8, copy=False)


def to_rgb(picture: Image.Image, called: str = "the picture") -> Image.Image:
    """Turn the way it was shot, lay transparency on white, convert to RGB; what is so already is not copied.

    Greys of more than 8 bits are converted by `eight_bits`: Pillow's modes I;16, I and F are unsigned 16 bits, whole
    numbers from 0 to 255 and fractions. Of colours of 16 bits Pillow reads the upper 8, which is a level off at most.

    Raises
    ------
    OodlibError
        If a grey is out of its range or NaN, or a TIFF counts its greys in a way that Pillow does not undo.
    """
    _check_tiff(picture, called)
    _mend_transparency(picture)
    picture.load()
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F" or picture.mode.startswith("I"):  # `convert` would cut off what is above 255
        picture = _from_deep_grey(picture, called)
    if picture.has_transparency_data:
        if picture.mode == "La":  # Pillow has no direct way from here
            picture = picture.convert("LA")
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def as_picture(source: Any) -> Image.Image:
    """Turn a PIL image or one array into an RGB picture.

    Raises
    ------
    OodlibError
        If it is neither, is empty, damaged or larger than 100 megapixels, or `eight_bits` refuses its numbers.

    Examples
    --------
    >>> as_picture(np.full((2, 3), 0.5)).getpixel((0, 0))
    (128, 128, 128)
    """
    if isinstance(source, Image.Image):
        if source.width * source.height > MAX_PIXELS:
            raise OodlibError(f"the picture has {source.width} x {source.height} pixels: scale it down first")
        try:
            return to_rgb(source)
        except OodlibError:
            raise
        except Exception as error:  # a picture that Pillow opened is decoded only now
            raise OodlibError(f"the picture is damaged ({error}): replace it by a whole picture") from error
    if not isinstance(source, np.ndarray):
        raise OodlibError(f"the picture is of type {type(source).__name__}: pass paths, PIL images or NumPy arrays")
    flat = source[..., 0] if source.ndim == 3 and source.shape[-1] == 1 else source
    if not flat.size or not (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[-1] in (3, 4))):
        raise OodlibError(f"the picture is an array, but its shape is {source.shape}: pass (H, W), (H, W, 3 or 4)")
    if flat.shape[0] * flat.shape[1] > MAX_PIXELS:
        raise OodlibError(f"the picture has {flat.shape[1]} x {flat.shape[0]} pixels: scale it down first")
    return to_rgb(Image.fromarray(np.ascontiguousarray(eight_bits(flat))))


def several(pictures: Any) -> Any:
    """Pictures as they are; refuses what is one picture, whose rows would be taken for pictures, and none at all."""
    if isinstance(pictures, Image.Image) or (isinstance(pictures, np.ndarray) and pictures.ndim < 4):
        raise OodlibError("one picture is no sequence of pictures: pass [picture]")
    if len(pictures) == 0:
        raise OodlibError("there are no pictures to encode: pass at least one")
    return pictures


def without_far_ends(picture: Image.Image, ratio: int = 32) -> Image.Image:
    """Of an upright picture more than `ratio` times as long as wide only the middle; others are not copied.

    For encoders that see the middle square of a picture anyway.
    """
    width, height = picture.size
    # The middle stays the middle: as much is cut off at both ends.
    across, down = ((side - min(side, ratio * other)) // 2 for side, other in ((width, height), (height, width)))
    return picture.crop((across, down, width - across, height - down)) if across or down else picture


def _from_deep_grey(picture: Image.Image, called: str) -> Image.Image:
    numbers = np.asarray(picture)
    if picture.mode == "I" and picture.format == "PPM":  # Pillow has brought it to 16 bits, whatever its white was
        numbers = numbers.astype(np.uint16)
    grey = Image.fromarray(eight_bits(numbers, called))
    clear = picture.info.get("transparency")
    if clear is not None:
        grey.putalpha(Image.fromarray(np.where(numbers == clear, np.uint8(0), np.uint8(255))))
    return grey


def _check_tiff(picture: Image.Image, called: str) -> None:
    """Refuse a TIFF that Pillow hands over as if it were of the common kind."""
    tags = getattr(picture, "tag_v2", None)
    if tags is None:
        return
    bits, white_is_zero, signed = tags.get(258), tags.get(262) == 0, 2 in tags.get(339, ())
    deep = picture.mode == "F" or picture.mode.startswith("I")
    if (deep and white_is_zero) or (picture.mode.startswith("I;16") and bits != (16,)) or (bits == (8,) and signed):
        raise OodlibError(
            f"{called} is a TIFF with greys of an uncommon kind (12 bits, signed bytes, or deep and from white to "
            "black): save it with 8 or 16 bits, unsigned, black as 0"
        )


def _mend_transparency(picture: Image.Image) -> None:
    """The transparent colour of a PNG that is not decoded yet: Pillow has it as it is in the file, pixels in 8 bits."""
    clear, tiles = picture.info.get("transparency"), getattr(picture, "tile", None)
    if picture.format != "PNG" or clear is None or not tiles:
        return
    stored = tiles[0][3]
    if stored in ("L;2", "L;4"):
        picture.info["transparency"] = clear * (85 if stored == "L;2" else 17)
    elif stored == "RGB;16B":
        picture.info["transparency"] = tuple(part >> 8 for part in clear)
