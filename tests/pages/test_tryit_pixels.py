"""The page that decides in the browser sees the pixels that the library sees: its scaling is Pillow's, to the level."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodlib.pocket.assemble import IMAGE_SIZE
from oodlib.pocket.light import LightEncoder

NODE = shutil.which("node")
DRIVER = Path(__file__).with_name("tryit_pixels.mjs")
SIDES = [(1, 1), (1, 3), (127, 128), (128, 128), (128, 300), (129, 131), (257, 255), (64, 4000), (9000, 3), (1, 700)]
SIDES += [(200, 399), (200, 400), (200, 401), (300, 900)]  # about where Pillow takes the columns first

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no node on this machine")


def pictures() -> list[Image.Image]:
    """Noise, edges and slopes, opaque and not, of sides that round in every way."""
    rng = np.random.default_rng(0)
    sides = SIDES + [tuple(side) for side in rng.integers(2, 900, (40, 2)).tolist()]
    made = []
    for place, (width, height) in enumerate(sides):
        levels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
        if place % 3 == 1:  # sums overshoot at hard edges
            levels = np.where(levels > 127, np.uint8(255), np.uint8(0))
        if place % 3 == 2:
            levels[..., :3] = np.linspace(0, 255, width).astype(np.uint8)[None, :, None]
        if place % 2:
            levels[..., 3] = 255
        made.append(Image.fromarray(levels, "RGBA"))
    return made


def squares_in_node(given: list[Image.Image], folder: Path) -> np.ndarray:
    """What `pixels.js` makes of pictures that are unpacked already, as a browser unpacks them."""
    jobs = []
    for place, picture in enumerate(given):
        file = folder / f"{place}.rgba"
        file.write_bytes(picture.tobytes())
        jobs.append({"width": picture.width, "height": picture.height, "size": IMAGE_SIZE, "file": file.as_posix()})
    lines = "\n".join(map(json.dumps, jobs))
    done = subprocess.run([str(NODE), str(DRIVER)], input=lines.encode(), capture_output=True, check=True)
    rows = np.frombuffer(done.stdout, np.uint8).reshape(len(given), IMAGE_SIZE, IMAGE_SIZE, 3)
    return np.moveaxis(rows, 3, 1)


@pytest.fixture(scope="module")
def encoder() -> LightEncoder:
    return LightEncoder()


def test_every_pixel_is_the_librarys(encoder, tmp_path):
    given = pictures()
    found, expected = squares_in_node(given, tmp_path), encoder.pixels(given)
    worst = np.abs(found.astype(int) - expected).reshape(len(given), -1).max(1)
    assert worst.max() == 0, [(given[k].size, int(worst[k])) for k in np.flatnonzero(worst)]


def test_a_picture_beyond_the_librarys_limit_is_refused_in_words(tmp_path):
    script = (
        f"import {{ square }} from {json.dumps((DRIVER.parents[2] / 'book/_static/tryit/pixels.js').as_uri())};"
        "try { square({ width: 20000, height: 20000, data: [] }, 128); } catch (e) { console.log(e.message); }"
    )
    done = subprocess.run([str(NODE), "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "the picture has 20000 x 20000 pixels: scale it down first"
