from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from oodlib.datasets.images import MAX_PIXELS, read_image
from oodlib.datasets.pixels import to_rgb, without_far_ends
from oodlib.errors import OodlibError


def saved(folder: Path, picture: Image.Image, name: str = "picture.png", **options) -> Path:
    path = folder / name
    picture.save(path, **options)
    return path


def test_transparency_is_laid_on_white(tmp_path):
    picture = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 0, 0, 0))
    assert np.asarray(read_image(saved(tmp_path, picture))).tolist() == [[[255, 0, 0], [255, 255, 255]]]


def test_transparent_palette_colour_is_white(tmp_path):
    picture = Image.new("P", (1, 1))
    picture.putpalette([10, 20, 30])
    assert read_image(saved(tmp_path, picture, transparency=0)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_rgb(mode, tmp_path):
    source = Image.new("RGB", (4, 3), (200, 100, 50)).convert(mode)
    path = saved(tmp_path, source, "x.tif") if mode in ("CMYK", "YCbCr") else None
    picture = (
        read_image(path) if path else read_image(saved(tmp_path, source.convert("RGB" if mode == "HSV" else mode)))
    )
    assert picture.mode == "RGB"
    assert picture.size == (4, 3)


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None]
    grey = np.asarray(read_image(saved(tmp_path, Image.fromarray(ramp))))[0, :, 0]
    assert grey[0] == 0
    assert grey[-1] >= 254
    assert (np.diff(grey.astype(int)) >= 0).all()


def test_picture_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    assert read_image(saved(tmp_path, Image.new("RGB", (8, 2)), "x.jpg", exif=exif)).size == (2, 8)


@pytest.mark.parametrize(("content", "message"), [(b"", "cannot be read"), (b"hello, I am a text", "cannot be read")])
def test_what_is_no_picture_is_named(content, message, tmp_path):
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    with pytest.raises(OodlibError, match=f"notes.png {message}.*: remove it"):
        read_image(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif"])
def test_truncated_picture_is_named(suffix, share, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), f"half.{suffix}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(OodlibError, match=f"half.{suffix}.*remove it, or replace it"):
        read_image(path)


def test_missing_file_and_folder_are_told_apart(tmp_path):
    with pytest.raises(OodlibError, match="does not exist"):
        read_image(tmp_path / "none.png")
    with pytest.raises(OodlibError, match="is a folder"):
        read_image(tmp_path)


def test_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    side = int(MAX_PIXELS**0.5) + 10
    path = saved(tmp_path, Image.new("1", (side, side)))
    with pytest.raises(OodlibError, match="scale it down"):
        read_image(path)


@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000), (30_001, 2), (640, 20), (7, 5)])
def test_of_a_strip_the_middle_stays(size):
    x = np.arange(size[0] * size[1], dtype=np.uint32).reshape(size[1], size[0])
    picture = Image.fromarray(np.stack([x & 255, x >> 8 & 255, x >> 16], -1).astype(np.uint8))
    kept = np.asarray(without_far_ends(picture)).astype(int)
    longest, shortest = max(size), min(size)
    assert max(kept.shape[:2]) in {min(longest, 32 * shortest), min(longest, 32 * shortest + 1)}
    numbers = kept[..., 0] + 256 * kept[..., 1] + 65536 * kept[..., 2]
    assert numbers[0, 0] - int(x[0, 0]) == int(x[-1, -1]) - numbers[-1, -1]  # as much is gone at both ends


def test_the_ends_that_go_are_not_seen_by_the_encoder(pocket):
    noise = np.random.default_rng(0).integers(0, 255, (8, 400, 3), dtype=np.uint8)
    strip = Image.fromarray(noise)
    seen = pocket.prepare([strip])
    assert torch.equal(seen, pocket.prepare([strip.crop((72, 0, 328, 8))]))
    whole = pocket.preprocess(strip)  # open_clip's own steps, which scale the whole strip first
    assert (seen[0] - whole).abs().mean() < 0.02


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_scaled_jpeg_is_the_picture_only_smaller(kind, progressive, tmp_path):
    ramp = np.linspace(0, 255, 640, dtype=np.uint8)
    picture = Image.fromarray(np.stack([np.tile(ramp, (480, 1)), np.tile(ramp[:480, None], (1, 640))] * 2, -1)[..., :3])
    path = saved(tmp_path, picture.convert(kind), "x.jpg", quality=95, progressive=progressive)
    full, small = read_image(path), read_image(path, at_least=100)
    assert (small.mode, small.size) == ("RGB", (160, 120))
    expected = np.asarray(full.resize((160, 120), Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(small).astype(int) - expected).mean() < 2


@pytest.mark.parametrize(
    ("size", "at_least", "kept"),
    [
        ((640, 480), 60, (80, 60)),
        ((640, 480), 61, (160, 120)),
        ((640, 480), 241, (640, 480)),  # half of it would be too small
        ((641, 480), 60, (641, 480)),  # half of it would have another shape
        ((644, 484), 60, (161, 121)),  # a quarter divides evenly, an eighth does not
    ],
)
def test_the_smallest_scale_that_suffices_and_keeps_the_shape(size, at_least, kept, tmp_path):
    path = saved(tmp_path, Image.new("RGB", size, "red"), "x.jpg")
    assert read_image(path, at_least=at_least).size == kept
    assert read_image(path).size == size
    assert read_image(saved(tmp_path, Image.new("RGB", size)), at_least=at_least).size == size  # a PNG stays


def test_a_scaled_jpeg_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.new("RGB", (640, 320), "red")
    sideways.paste("blue", (0, 0, 320, 320))  # the left half, which is the upper one when it is turned
    path = saved(tmp_path, sideways, "x.jpg", exif=exif)
    small = read_image(path, at_least=80)
    assert small.size == (80, 160)
    assert small.getpixel((40, 10))[2] > 200
    assert small.getpixel((40, 150))[0] > 200
    assert to_rgb(small) is small  # upright now, and not turned again


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.bmp", "x.tif", "x.webp"])
def test_what_is_rgb_and_upright_is_not_copied(name, tmp_path):
    picture = read_image(saved(tmp_path, Image.new("RGB", (9, 7), (1, 2, 3)), name))
    assert to_rgb(picture) is picture
    assert picture.resize((3, 3)).size == (3, 3)  # the file is closed, the picture is whole
