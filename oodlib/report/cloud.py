"""Two measures of many methods against each other, each with its interval; few low points do not squash the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodlib.report.style import COLOURS, EDGE, INK, SMALLEST, STYLE, WIDTH
from oodlib.report.svg import hover

MARKERS = "osD^vPXdh<"
Estimate = tuple[float, float, float]  # the value and both ends of its interval
FEW, WIDE = 0.15, 0.7  # the share of points that may lie below a cut; the gap there, by what the points above span


def foot(panels: Sequence[Sequence[Estimate]]) -> float | None:
    """Where to cut an axis so that few low points do not squash the others; None where it need not be cut.

    Parameters
    ----------
    panels : sequence of sequences of estimates
        What the panels with this axis show.

    Returns
    -------
    float or None
        The lowest end of an interval of the points above the widest gap, if few points lie below and the gap is wide.

    Examples
    --------
    >>> high = [(0.9 + k / 100, 0.88, 0.95) for k in range(8)]
    >>> foot([high, [(0.6, 0.5, 0.7)]]), foot([high])
    (0.88, None)
    """
    points = sorted(point for panel in panels for point in panel)
    values = np.array([value for value, _, _ in points])
    gaps = np.diff(values)
    if not len(gaps):
        return None
    below = int(gaps.argmax()) + 1
    is_wide = gaps.max() > WIDE * (values[-1] - values[below])
    return min(low for _, low, _ in points[below:]) if is_wide and below <= FEW * len(points) else None


def cloud(panels: Mapping[str, Mapping[str, tuple[Estimate, Estimate]]], *, xlabel: str, ylabel: str) -> Figure:
    """One panel a title, one mark a method, with its intervals as lines; the first method is a star.

    Where low points would squash the others, the vertical axis is cut, which two strokes say; points below stand at its
    foot with their values.

    Parameters
    ----------
    panels : mapping of title to mapping of method to (x, y)
        Shares, from 0 to 1: an estimate for each axis. All panels have the same methods, and share both axes.
    xlabel, ylabel : str
    """
    cut = foot([[y for _, y in methods.values()] for methods in panels.values()])
    with rc_context(STYLE):
        rows = -(-len(panels) // 2)
        figure = Figure(figsize=(WIDTH, 1.75 * rows + 1), layout="constrained", dpi=100)
        first: Axes | None = None
        for place, (title, methods) in enumerate(panels.items()):
            axes = figure.add_subplot(rows, 2, place + 1, sharex=first, sharey=first)
            first = first or axes
            low = {name: x for name, (x, y) in methods.items() if cut is not None and y[0] < cut}
            for k, (name, (x, y)) in enumerate(methods.items()):
                _mark(axes, k, name, x, y, cut if name in low else None)
            for k, (name, x) in enumerate(sorted(low.items(), key=lambda item: item[1])):
                style: dict[str, Any] = {"textcoords": "offset points", "xytext": (0, 7), "fontsize": SMALLEST}
                side = "right" if k < len(low) - 1 else "left"
                axes.annotate(f"{100 * methods[name][1][0]:.0f}↓", (100 * x[0], 100 * (cut or 0)), ha=side, **style)
            axes.set(title=title, ylabel=ylabel if place % 2 == 0 else "")
            axes.set_xlabel(xlabel if place >= len(panels) - 2 else "")
            if cut is not None:
                strokes: dict[str, Any] = {
                    "marker": [(-1, -0.5), (1, 0.5)],
                    "markersize": 8,
                    "color": EDGE,
                    "clip_on": False,
                }
                axes.plot([0, 0], [0.05, 0.1], transform=axes.transAxes, linestyle="", **strokes)
                axes.set_ylim(bottom=100 * cut - 1)
        if first is not None:
            figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _mark(axes: Axes, k: int, name: str, x: Estimate, y: Estimate, cut: float | None) -> None:
    """A method's mark and its intervals; where the axis is cut above it, the mark alone, at the foot."""
    colour = COLOURS[(k - 1) % len(COLOURS)] if k else INK
    if cut is None:
        axes.plot([100 * x[0]] * 2, [100 * y[1], 100 * y[2]], color=colour, linewidth=1, alpha=0.6)
        axes.plot([100 * x[1], 100 * x[2]], [100 * y[0]] * 2, color=colour, linewidth=1, alpha=0.6)
    style: dict[str, Any] = {"marker": MARKERS[(k - 1) % len(MARKERS)] if k else "*", "s": 24 if k else 54, "zorder": 3}
    mark = axes.scatter(100 * x[0], 100 * (y[0] if cut is None else cut), color=colour, label=name, **style)
    hover(mark, [f"{name}: {100 * x[0]:.1f}, {100 * y[0]:.1f} [{100 * y[1]:.1f}, {100 * y[2]:.1f}]"])
