"""Figures: what is drawn is what the numbers say."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image

from oodlib.datasets.base import Manifest
from oodlib.evaluation.metrics import ood_metrics
from oodlib.report import plots, style

score = st.integers(-8, 8).map(float)
scores = st.lists(score, min_size=2, max_size=60)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(2, 1, 300), rng.normal(0, 2, 200)


def png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60, metadata={"Software": None})
    return buffer.getvalue()


@given(scores, scores)
def test_cuts_give_the_metrics(inside, outside):
    """The lines in a histogram are the cuts that the two FPR95s in the table are read at."""
    keep, catch = plots.cuts_at_95(inside, outside)
    metrics = ood_metrics(inside, outside)
    assert np.mean(np.array(inside) >= keep) >= 0.95
    assert np.mean(np.array(outside) >= keep) == pytest.approx(metrics["fpr95"])
    assert np.mean(np.array(outside) <= catch) >= 0.95
    assert np.mean(np.array(inside) <= catch) == pytest.approx(metrics["fpr95_ood"])


@given(scores, scores)
def test_the_roc_curve_has_the_area_and_the_points(inside, outside):
    x, y = plots.roc_points(inside, outside)
    metrics = ood_metrics(inside, outside)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(metrics["auroc"])
    assert x[np.argmax(y >= 0.95)] == pytest.approx(metrics["fpr95"])


def test_roc_marks_both_points(pair):
    figure = plots.roc({"a set": {"mcm": pair}})
    axes = figure.axes[0]
    metrics = ood_metrics(*pair)
    marks = {line.get_marker(): line.get_xydata()[0] for line in axes.lines if line.get_marker() in ("o", "s")}
    assert marks["o"][0] == pytest.approx(100 * metrics["fpr95"])
    assert 100 - marks["s"][1] == pytest.approx(100 * metrics["fpr95_ood"])
    assert axes.get_title() == "a set"


def test_histogram_has_a_panel_a_set_and_a_legend(pair):
    figure = plots.score_histogram(pair[0], {"one": pair[1], "two": pair[1] + 1}, xlabel="MCM")
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["density", ""]
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["in-distribution", "out-of-distribution", "keeps 95 % of ID", "catches 95 % of OOD"]


def tidy() -> pd.DataFrame:
    rows = [
        {"ood_set": s, "detector": d, "metric": m, "value": v, "low": v - 0.05, "high": v + 0.02, "temperature": t}
        for s in ("near", "far")
        for d, t, v in (("mcm", 1.0, 0.8), ("msp", 0.01, 0.7))
        for m in ("auroc", "fpr95")
    ]
    return pd.DataFrame(rows)


def test_forest_draws_values_and_intervals():
    figure = plots.forest(tidy(), "auroc")
    assert [axes.get_title() for axes in figure.axes] == ["near", "far"]
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [80, 70])
    lows, highs = zip(*[segment[:, 0] for segment in axes.collections[0].get_segments()], strict=True)
    np.testing.assert_allclose(lows, [75, 65])
    np.testing.assert_allclose(highs, [82, 72])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mcm", "msp"]


def test_sweep_draws_a_line_a_set_in_order():
    figure = plots.sweep(tidy(), "temperature", "auroc", xlabel="temperature", marks={"MSP": 0.01})
    axes = figure.axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.01, 1.0])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [70, 80])
    assert axes.get_xscale() == "log"


def test_spread_draws_a_mark_a_source_and_reading():
    rows = [
        *(
            ("a", "auroc", 90.0),
            ("a", "auroc", 90.0),
            ("a", "fpr95", 40.0),
            ("a", "fpr95", 41.0),
            ("a", "fpr95_ood", 30.0),
        ),
        *(("b", "auroc", 95.0), ("b", "fpr95", 20.0), ("b", "fpr95_unknown", 1.0)),
    ]
    frame = pd.DataFrame(rows, columns=["label", "metric", "value"])
    left, right = plots.spread(frame, {"fpr95": "ID kept", "fpr95_ood": "OOD caught"}).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["a", "b"]
    assert left.lines[0].get_xdata().tolist() == [90, 90, 95]
    heights = left.lines[0].get_ydata()
    assert heights[0] != heights[1], "equal numbers do not hide each other"
    assert np.rint(heights).tolist() == [0, 0, 1]
    assert [line.get_xdata().tolist() for line in right.lines] == [[40, 41, 20], [30]]
    assert right.lines[0].get_marker() != right.lines[1].get_marker(), "readings differ by more than colour"


def test_contact_sheet_shows_the_pictures_in_order(tmp_path):
    colours = ["red", "green", "blue"]
    for colour in colours:
        Image.new("RGB", (16, 16), colour).save(tmp_path / f"{colour}.png")
    table = pd.DataFrame(
        {"id": colours, "uri": [f"{c}.png" for c in colours], "label": colours, "split": "s", "sha256": ""}
    )
    figure = plots.contact_sheet(Manifest("colours", tmp_path, table), 2)
    assert len(figure.axes) == 2
    for axes, colour in zip(figure.axes, colours, strict=False):
        np.testing.assert_allclose(axes.images[0].get_array()[8, 8] / 255, to_rgb(colour), atol=0.01)
        assert axes.texts[0].get_text() == colour


def test_figures_are_opaque_and_the_same_every_time(pair):
    """Opaque: a dark page must not shine through. The same: executed notebooks can be compared byte by byte."""
    first, second = (png(plots.score_histogram(pair[0], {"x": pair[1]})) for _ in range(2))
    assert first == second
    with Image.open(io.BytesIO(first)) as picture:
        assert picture.convert("RGBA").getextrema()[3] == (255, 255)


# How a display's linear RGB looks to an eye that lacks one kind of cone (Machado et al. 2009, severity 1).
EYES = {
    "all cones": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour: str) -> np.ndarray:
    channels = np.array(to_rgb(colour))
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, (3,) -> (3,); distances there are about what the eye sees."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(rgb, 0, 1)
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("colours", [style.COLOURS, style.ON_DARK])
@pytest.mark.parametrize("eye", EYES)
def test_colours_can_be_told_apart(eye, colours):
    seen = [lab(np.array(EYES[eye]) @ linear(colour)) for colour in colours]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 15


def light(colour: str) -> float:
    """Relative luminance, with the glare that contrasts are reckoned with."""
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05


def test_lines_stand_out_from_their_ground_and_differ_in_more_than_colour():
    for colour, on_dark in zip(style.COLOURS, style.ON_DARK, strict=True):
        assert light(style.GROUND) / light(colour) > 3, colour
        assert light(on_dark) / light(style.DARK_GROUND) > 3, on_dark
    assert len(set(map(str, plots.LINES))) == len(plots.LINES)


def test_forest_leaves_out_what_has_no_number():
    frame = tidy()
    figure = plots.forest(frame[~((frame["ood_set"] == "far") & (frame["detector"] == "msp"))], "auroc")
    assert np.isnan(figure.axes[1].lines[0].get_xdata()).tolist() == [False, True]
