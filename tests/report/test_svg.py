"""Figures as files: the same every time, readable in both schemes, small."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from oodlib.report.style import DARK, DARK_GROUND, GROUND, ID_COLOUR, SMALLEST, STYLE, WIDTH
from oodlib.report.svg import hover, svg


def drawn(pixels: np.ndarray | None = None) -> Figure:
    """A figure in the house style with a line, a legend, and an image if there is one."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3), layout="constrained")
        axes = figure.add_subplot(xlabel="AUROC", title="a set")
        axes.plot([0, 1.23456], [0, 1], color=ID_COLOUR, label="line")
        axes.legend()
        if pixels is not None:
            figure.add_subplot().imshow(pixels, interpolation="lanczos")
    return figure


def test_a_figure_is_the_same_every_time_and_has_no_date():
    first, second = svg(drawn()), svg(drawn())
    assert first == second
    assert "<metadata" not in first
    assert first.startswith("<svg ")


def test_text_is_text_of_a_size_that_a_telephone_shows():
    text = svg(drawn())
    assert ">AUROC</text>" in text
    sizes = [float(size) for size in re.findall(r"font(?:-size)?:[^;\"]*?([\d.]+)px", text)]
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', text)[1])
    assert min(sizes) >= SMALLEST
    assert min(sizes) * 312 / width >= 9


def test_a_dark_page_has_other_colours_for_all_of_the_houses():
    text = svg(drawn())
    style = re.search(r"<style>(@media \(prefers-color-scheme:dark\).*?)</style>", text)[1]
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", text.replace(style, "")))
    assert {GROUND, ID_COLOUR.lower()} <= used
    assert used <= {colour.lower() for colour in DARK} | {"#cccccc", "#b0b0b0"}, "else it stays as on a light page"
    assert f'[style*="fill: {GROUND}"]{{fill:{DARK_GROUND}!important}}' in style


@pytest.mark.parametrize("kind", ["flat", "photograph"])
def test_a_picture_inside_is_small_and_looks_the_same(kind):
    rng = np.random.default_rng(0)
    few = rng.integers(0, 256, (4, 4, 3))
    flat = np.kron(few, np.ones((20, 20, 1))).astype(np.uint8)
    y, x = np.mgrid[:80, :80]
    smooth = np.stack([128 + 100 * np.sin(x / 9), 128 + 100 * np.cos(y / 7), 1.5 * (x + y)], -1)
    photograph = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    figure = drawn(flat if kind == "flat" else photograph)
    raw = io.StringIO()
    figure.savefig(raw, format="svg", dpi=160)
    before = base64.b64decode(re.search(r"base64,\s*([^\"]+)", raw.getvalue())[1])
    after = base64.b64decode(re.search(r"data:image/webp;base64,([^\"]+)", svg(figure))[1])
    assert len(after) < len(before) / 2
    pictures = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=int) for data in (before, after)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 4


def test_marks_say_what_they_are():
    figure = Figure()
    axes = figure.add_subplot()
    hover(axes.scatter([1, 2], [1, 2]), ["one < two", "2 & more"])
    axes.plot([1], [2], "o")
    text = svg(figure)
    titles = re.findall(r"<use [^>]*><title>(.*?)</title></use>", text)
    assert titles == ["one &lt; two", "2 &amp; more"]
    assert "hover" not in text


def test_the_numbers_of_a_label_are_left_alone():
    figure = Figure()
    figure.text(0.5, 0.5, 'd="1.23456"')
    assert "1.23456" in svg(figure)
