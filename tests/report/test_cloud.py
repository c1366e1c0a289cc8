"""Methods by two measures: the axis is cut where few points would squash the others, and nowhere else."""

import numpy as np
import pytest

from oodlib.report.cloud import cloud, foot
from oodlib.report.svg import svg


def around(value: float) -> tuple[float, float, float]:
    return value, value - 0.02, value + 0.02


HIGH = [around(value) for value in (0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96)]


@pytest.mark.parametrize(
    ("points", "cut"),
    [
        ([*HIGH, around(0.6)], 0.88),
        (HIGH, None),
        ([*HIGH, around(0.87)], None),  # near enough
        ([*HIGH, around(0.6), around(0.61), around(0.62)], None),  # too many to set apart
        ([around(0.9)], None),
        ([around(0.9)] * 9, None),  # all equal
        ([around(0.8), around(0.9)], None),
    ],
)
def test_an_axis_is_cut_above_few_points_that_lie_far_below(points, cut):
    found = foot([points])
    assert found == (None if cut is None else pytest.approx(cut))


def drawn(low: float):
    methods = {f"m{k}": (around(0.5 + k / 50), y) for k, y in enumerate(HIGH)}
    panels = {"one": methods, "two": methods | {"m3": (around(0.56), around(low))}}
    return cloud(panels, xlabel="ID accuracy (%)", ylabel="far AUROC (%)")


def test_what_lies_below_the_cut_stands_at_its_foot_with_its_value():
    figure = drawn(0.61)
    second = figure.axes[1]
    assert second.get_ylim()[0] == pytest.approx(87)
    assert [text.get_text() for text in second.texts] == ["61↓"]
    at = np.array([dots.get_offsets()[0] for dots in second.collections])
    assert at[3].tolist() == pytest.approx([56, 88])
    assert [title.get_text() for title in figure.legends[0].texts] == [f"m{k}" for k in range(7)]
    assert "m3: 56.0, 61.0 [59.0, 63.0]" in svg(figure)
    strokes = [line for axes in figure.axes for line in axes.lines if line.get_transform() == axes.transAxes]
    assert len(strokes) == 2, "each panel says that its axis is cut"


def test_without_low_points_there_is_no_cut():
    figure = drawn(0.93)
    assert not figure.axes[1].texts
    assert all(line.get_transform() != axes.transAxes for axes in figure.axes for line in axes.lines)
