"""Figures of maps: every layer is drawn and named."""

import re

import numpy as np
from matplotlib.colors import to_hex

from oodlib.report.maps import SCALE, Layer, draw_layers
from oodlib.report.style import WIDTH
from oodlib.report.svg import svg

POINTS = np.array([[0.0, 0], [1, 1], [2, 0]])


def test_one_legend_names_every_layer_once():
    layers = [Layer(POINTS, "words", "#999999", marker="x"), Layer(POINTS + 1, "pictures", "#0072B2")]
    figure = draw_layers({"before": layers, "after": layers})
    assert [axes.get_title() for axes in figure.axes] == ["before", "after"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["words", "pictures"]
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), POINTS)
    np.testing.assert_allclose(figure.axes[0].patches[0].get_path().vertices[::2], POINTS + 1)


def test_dots_take_few_bytes_and_are_all_inside():
    rng = np.random.default_rng(0)
    text, without = (svg(draw_layers({"": [Layer(rng.normal(size=(n, 2)), "", "#0072B2")]})) for n in (1000, 1))
    assert text.count("h0") == 1000
    assert len(text) - len(without) < 20_000
    across = [float(x) for x in re.findall(r"M([\d.]+) [\d.]+h0", text)]
    assert 0 < min(across) < max(across) < WIDTH * 72


def test_panels_may_have_legends_of_their_own():
    panels = {"by thing": [Layer(POINTS, "cat")], "by hand": [Layer(POINTS, "noto")]}
    figure = draw_layers(panels, shared=False)
    assert figure.legends == []
    assert [axes.get_legend().get_texts()[0].get_text() for axes in figure.axes] == ["cat", "noto"]


def test_values_run_along_the_scale_and_have_a_bar():
    figure = draw_layers({"score": [Layer(POINTS, "", values=[0.0, 0.5, 1.0])]}, scale="share below")
    dots = figure.axes[0].collections[0]
    assert [to_hex(ink) for ink in dots.to_rgba(dots.get_array())[[0, 2]]] == [SCALE[0].lower(), SCALE[2].lower()]
    assert figure.axes[-1].get_xlabel() == "share below"
