"""The files of the interactive map: what a browser will read, checked without one."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from oodlib.errors import OodlibError
from oodlib.report.explorer import CELL, contact, write_explorer

COLOURS = ("red", "green", "blue")


@pytest.fixture
def made(tmp_path):
    """Three pictures and a word, as `write_explorer` takes them."""
    for colour in COLOURS:
        Image.new("RGB", (100, 50), colour).save(tmp_path / f"{colour}.png")
    points = pd.DataFrame({"name": [*COLOURS, 'a "word"</script>'], "set": ["in", "out", "out", "words"]})
    points = points.assign(hand=["h", "h", "i", ""], x=[0.12345, 1, 2, 3], y=[0.0, -1, -2, -3])
    return {
        "points": points,
        "pictures": [*(tmp_path / f"{colour}.png" for colour in COLOURS), None],
        "near": {"nearest names": [[("red", 0.987), ("rose", 0.5)], [("red", 0.1)], [], [("rose", -0.2)]]},
        "scores": {"mcm": [0.123456789, 2.0, -1.0, np.nan]},
        "cuts": {"mcm": 0.5},
    }


def test_the_points_are_a_script_that_says_what_was_given(made, tmp_path):
    write_explorer(tmp_path, **made)
    script = (tmp_path / "points.js").read_text(encoding="utf-8")
    start, end = "window.oodlibExplorer = ", ";\n"
    assert script.startswith(start)
    assert script.endswith(end)
    told = json.loads(script[len(start) : -len(end)])
    assert told["x"] == [0.123, 1, 2, 3]
    assert told["name"] == list(made["points"]["name"])
    assert [told["set"]["names"][k] for k in told["set"]["of"]] == list(made["points"]["set"])
    assert [told["hand"]["names"][k] for k in told["hand"]["of"]] == list(made["points"]["hand"])
    assert told["picture"] == [0, 1, 2, -1]
    assert told["scores"] == {"mcm": {"cut": 0.5, "of": [0.12346, 2.0, -1.0, None]}}
    words, lists = told["near"]["words"], told["near"]["lists"]["nearest names"]
    assert [[(words[j], c) for j, c in row] for row in lists] == [
        [("red", 99), ("rose", 50)],
        [("red", 10)],
        [],
        [("rose", -20)],
    ]


def test_every_picture_lies_in_its_cell_on_white(made, tmp_path):
    sheet = contact(made["pictures"][:3], columns=2)
    assert sheet.size == (2 * CELL, 2 * CELL)
    for k, colour in enumerate(COLOURS):
        left, top = CELL * (k % 2), CELL * (k // 2)
        assert sheet.getpixel((left + CELL // 2, top + CELL // 2)) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))
        assert sheet.getpixel((left + CELL // 2, top + 2)) == (255, 255, 255), "a wide picture keeps its shape"
    write_explorer(tmp_path, **made)
    with Image.open(tmp_path / "pictures.webp") as kept:
        assert kept.size == (2 * CELL, 2 * CELL)


def test_the_same_points_give_the_same_files(made, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_explorer(tmp_path / name, **made)
    for file in ("points.js", "pictures.webp"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_what_does_not_fit_together_is_said(made, tmp_path):
    with pytest.raises(OodlibError, match=r"lack the column\(s\) hand: add them"):
        write_explorer(tmp_path, **made | {"points": made["points"].drop(columns="hand")})
    with pytest.raises(OodlibError, match="mcm has 1 entries for 4 points: pass one for each"):
        write_explorer(tmp_path, **made | {"scores": {"mcm": [1.0]}})
    with pytest.raises(OodlibError, match="scores of mcm need a cut each, not of msp"):
        write_explorer(tmp_path, **made | {"cuts": {"msp": 0.5}})
    with pytest.raises(OodlibError, match="200000 pictures do not fit on one sheet"):
        contact([made["pictures"][0]] * 200_000, columns=448)
    assert not (tmp_path / "points.js").exists(), "nothing half-written"
