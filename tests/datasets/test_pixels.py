"""What numbers mean as pixels: the same as a file, as Pillow's picture and as an array, whatever the others are."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from oodlib.datasets.images import read_image
from oodlib.datasets.pixels import as_picture, eight_bits
from oodlib.errors import OodlibError

GREYS = np.array([[110, 120, 140, 3]], np.uint8)  # far from black and white: stretching would show


def first_channel(picture):
    assert picture.mode == "RGB"
    return np.asarray(picture)[..., 0].tolist()


def png(bits, colour, row, width, clear=b""):
    """A PNG of one row, as Pillow would not write it."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, colour, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + (chunk(b"tRNS", clear) if clear else b"") + rest


def tiff(bits, pixels, width, *, zero=1, signed=False):
    """A TIFF of one row; `zero` is 0 where white is zero."""
    tags = [(256, width), (257, 1), (258, bits), (259, 1), (262, zero), (273, 8), (278, 1), (279, len(pixels))]
    tags += [(339, 2)] if signed else []
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("suffix", ["png", "tif", "jp2", "pgm"])
def test_a_grey_file_of_sixteen_bits_is_its_twin_of_eight(suffix, tmp_path):
    for name, numbers in (("deep", GREYS.astype(np.uint16) * 257), ("twin", GREYS)):
        Image.fromarray(numbers).save(tmp_path / f"{name}.{suffix}")
    assert first_channel(read_image(tmp_path / f"deep.{suffix}")) == GREYS.tolist()
    assert first_channel(read_image(tmp_path / f"twin.{suffix}")) == GREYS.tolist()
    assert first_channel(as_picture(Image.open(tmp_path / f"deep.{suffix}"))) == GREYS.tolist()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint32, np.int16, ">i4"])
def test_whole_numbers_are_taken_as_they_are(dtype):
    assert first_channel(as_picture(GREYS.astype(dtype))) == GREYS.tolist()
    big = np.array([[110, 300]]).astype(dtype if dtype != np.uint8 else np.int16)
    with pytest.raises(OodlibError, match="not all from 0 to 255: convert it to uint8, or to uint16"):
        as_picture(big)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_unsigned_sixteen_bits_are_divided_by_257_always(dtype):
    numbers = np.array([[0, 256, 257, 110 * 257, 65535]]).astype(dtype)
    assert eight_bits(numbers).tolist() == [[0, 0, 1, 110, 255]]
    assert first_channel(as_picture(numbers)) == first_channel(as_picture(Image.fromarray(numbers)))
    colours = np.stack([numbers] * 3, -1)
    assert np.asarray(as_picture(colours)).tolist() == np.stack([eight_bits(numbers)] * 3, -1).tolist()
    assert first_channel(as_picture(numbers // 1000)) == [[0] * 5]  # dark stays dark


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", np.longdouble])
def test_fractions_are_from_0_to_1(dtype):
    assert first_channel(as_picture((GREYS / 255).astype(dtype))) == GREYS.tolist()


def test_truth_values_are_black_and_white():
    assert first_channel(as_picture(np.array([[True, False]]))) == [[255, 0]]
    assert first_channel(as_picture(Image.fromarray(np.array([[True, False]])))) == [[255, 0]]


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I;16N"])
def test_deep_modes_of_pillow_follow_the_rule(mode):
    assert first_channel(as_picture(Image.new(mode, (1, 1), 110 * 257))) == [[110]]


def test_fractions_and_whole_numbers_of_pillow_and_of_files_are_those_of_arrays(tmp_path):
    wide, fractions = Image.fromarray(GREYS.astype(np.int32)), Image.fromarray((GREYS / 255).astype(np.float32))
    for place, picture in enumerate((wide, fractions)):
        picture.save(tmp_path / f"{place}.tif")
        assert first_channel(as_picture(picture)) == GREYS.tolist()
        assert first_channel(read_image(tmp_path / f"{place}.tif")) == GREYS.tolist()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (np.array([[0.5, np.nan]], np.float32), "NaN or infinite pixels, not only numbers from 0 to 1: fill them in"),
        (np.array([[0.5, np.inf]], np.float32), "NaN or infinite"),
        (np.array([[110.0, 140]], np.float32), r"not all from 0 to 1 \(they go from 110 to 140\): divide by"),
        (np.array([[110, 70_000]], np.int32), "not all from 0 to 255"),
        (np.array([[-1, 3]], np.int32), "not all from 0 to 255"),
    ],
)
def test_what_is_out_of_range_is_refused_in_every_form(numbers, message, tmp_path, pocket):
    path = tmp_path / "odd.tif"
    Image.fromarray(numbers).save(path)
    forms = (lambda: as_picture(numbers), lambda: as_picture(Image.fromarray(numbers)), lambda: read_image(path))
    for form in (*forms, lambda: pocket.encode_images([numbers])):
        with pytest.raises(OodlibError, match=message) as caught:
            form()
        assert "\n" not in str(caught.value)
    with pytest.raises(OodlibError, match=r"odd\.tif has"):
        read_image(path)


@pytest.mark.parametrize(
    "numbers",
    [
        np.ma.masked_array(GREYS, GREYS > 130),
        GREYS.astype(object),
        GREYS.astype(complex),
        GREYS.astype(str),
        GREYS.astype("m8[s]"),
    ],
    ids=lambda numbers: f"{type(numbers).__name__}-{numbers.dtype.kind}",
)
def test_what_is_no_number_is_refused(numbers):
    with pytest.raises(OodlibError, match=r"the picture has (masked|numbers)"):
        as_picture(numbers)


def test_the_transparent_grey_of_a_png_is_white_whatever_its_depth(tmp_path):
    rows = {2: bytes([0b00011011]), 4: bytes([0x01, 0x23]), 8: bytes([0, 1, 2, 3])}
    rows[16] = np.array([0, 1, 2, 3], ">u2").tobytes()
    for bits, row in rows.items():
        path = tmp_path / f"{bits}.png"
        path.write_bytes(png(bits, 0, row, 4, clear=struct.pack(">H", 1)))
        step = 255 / (2**bits - 1)
        wanted = [[255 if grey == 1 else int(grey * step) for grey in range(4)]]
        assert first_channel(read_image(path)) == first_channel(as_picture(Image.open(path))) == wanted


def test_the_transparent_colour_of_sixteen_bits_is_white(tmp_path):
    colours = np.array([[0x6E03, 0x3200, 0x0301], [0x7003, 0x3200, 0x0301]], ">u2")
    path = tmp_path / "deep.png"
    path.write_bytes(png(16, 2, colours.tobytes(), 2, clear=colours[0].tobytes()))
    assert np.asarray(read_image(path)).tolist() == [[[255] * 3, [0x70, 0x32, 0x03]]]


@pytest.mark.parametrize("mode", ["RGBa", "La"])
def test_premultiplied_transparency_is_laid_on_white(mode):
    straight = Image.new("RGBA" if mode == "RGBa" else "LA", (1, 1), (100, 100, 100, 0)[-2 if mode == "La" else -4 :])
    assert first_channel(as_picture(straight.convert(mode))) == [[255]]


@pytest.mark.parametrize(
    "content",
    [
        tiff(12, bytes([0xFF, 0xF8, 0x00]), 2),
        tiff(16, GREYS.astype("<u2").tobytes(), 4, zero=0),
        tiff(8, GREYS.tobytes(), 4, signed=True),
    ],
    ids=["12 bits", "deep and white is zero", "signed bytes"],
)
def test_a_tiff_that_pillow_does_not_undo_is_refused(content, tmp_path):
    path = tmp_path / "odd.tif"
    path.write_bytes(content)
    with pytest.raises(OodlibError, match=r"odd\.tif is a TIFF with greys of an uncommon kind .*: save it with 8 or"):
        read_image(path)


def test_common_tiffs_made_by_hand_are_read(tmp_path):
    for name, content, wanted in (
        ("eight", tiff(8, GREYS.tobytes(), 4), GREYS),
        ("white", tiff(8, GREYS.tobytes(), 4, zero=0), 255 - GREYS),
        ("deep", tiff(16, (GREYS.astype("<u2") * 257).tobytes(), 4), GREYS),
    ):
        path = tmp_path / f"{name}.tif"
        path.write_bytes(content)
        assert first_channel(read_image(path)) == wanted.tolist()


def test_a_deep_picture_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "sideways.png"
    Image.fromarray(GREYS.astype(np.uint16) * 257).save(path, exif=exif)
    assert first_channel(read_image(path)) == GREYS.T.tolist()


def test_an_encoder_takes_arrays_and_refuses_one_picture_for_several(pocket):
    numbers = np.random.default_rng(0).integers(0, 256, (2, 140, 150, 3), dtype=np.uint8)
    expected = pocket.encode_images([Image.fromarray(picture) for picture in numbers])
    for form in (numbers, list(numbers), list(numbers.astype(np.uint16) * 257), list(numbers / 255)):
        torch.testing.assert_close(pocket.encode_images(form), expected, atol=1e-5, rtol=0)
    for one in (numbers[0], Image.fromarray(numbers[0])):
        with pytest.raises(OodlibError, match="one picture is no sequence"):
            pocket.encode_images(one)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint16, torch.bool])
def test_a_tensor_that_is_no_batch_of_an_encoder_is_refused(pocket, dtype):
    batch = pocket.pixels([GREYS.repeat(4, 0)])
    expected = pocket.encode_images(batch)
    prepared = pocket.prepare([GREYS.repeat(4, 0)])
    torch.testing.assert_close(pocket.encode_images(prepared.double()), expected, atol=1e-5, rtol=0)
    for wrong in (batch.to(dtype), batch[..., :100], batch.permute(0, 2, 3, 1), batch[0]):
        with pytest.raises(OodlibError, match=r"what pixels\(\) or prepare\(\) give"):
            pocket.encode_images(wrong)
    prepared[0, 0, 0, 0] = np.nan
    with pytest.raises(OodlibError, match="NaN"):
        pocket.encode_images(prepared)
