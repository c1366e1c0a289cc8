"""Figures of maps: points of several kinds, side by side, by colour or by a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from oodlib.report.style import ID_COLOUR, OOD_COLOUR, STYLE, WIDTH

MANY = 300  # marks of one layer, from which on they are kept as a picture: as marks, each takes a hundred bytes

SCALE = (OOD_COLOUR, "#B8B8B8", ID_COLOUR)  # from low scores to high ones; book/_static/explorer.js has the same


@dataclass(frozen=True, eq=False)
class Layer:
    """Points of one kind on a map.

    Parameters
    ----------
    places : (n, 2)
    label : str
        Its entry in the legend.
    colour : str
        Used where there are no `values`.
    values : (n,), optional
        From 0 to 1, such as the share of points that score lower: points are coloured by it, along `SCALE`.
    marker : str
        As matplotlib has them.
    size : float
        In square points.
    alpha : float
        How much they cover. A faint layer is seen on a light page and on a dark one.
    """

    places: Any
    label: str
    colour: str = "#888888"
    values: Any = None
    marker: str = "o"
    size: float = 4.0
    alpha: float = 1.0


def draw_layers(
    panels: Mapping[str, Sequence[Layer]],
    *,
    columns: int = 2,
    height: float = 2.2,
    scale: str = "",
    shared: bool = True,
) -> Figure:
    """Maps side by side: one panel a title, its layers from the lowest to the highest.

    Parameters
    ----------
    panels : mapping of title to layers
    columns : int
        Panels in a row.
    height : float
        Of a row, in inches.
    scale : str
        What the values of layers are: the label of a colour bar. Without, there is none.
    shared : bool
        Whether one legend serves all panels; else each has its own below it.
    """
    rows = -(-len(panels) // columns)
    colours = LinearSegmentedColormap.from_list("low to high", SCALE)
    legend: dict[str, Any] = {}
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height * rows + 0.5), layout="constrained", dpi=100)
        for k, (title, layers) in enumerate(panels.items()):
            axes = figure.add_subplot(rows, columns, k + 1)
            entries = legend if shared else {}
            for layer in layers:
                if layer.values is None:
                    entries.setdefault(layer.label, _draw(axes, layer))
                else:
                    inks: dict[str, Any] = {"c": np.asarray(layer.values), "cmap": colours, "vmin": 0, "vmax": 1}
                    x, y = np.asarray(layer.places).T
                    axes.scatter(x, y, **inks, **_style(layer))
            axes.set(title=title, xticks=[], yticks=[])
            axes.grid(visible=False)
            if not shared:
                axes.legend(*_listed(entries), loc="upper center", bbox_to_anchor=(0.5, 0), markerscale=2)
        if scale:
            bar = figure.colorbar(
                ScalarMappable(cmap=colours), ax=figure.axes, location="bottom", shrink=0.8, aspect=40, pad=0.02
            )
            bar.set_label(scale)
        if legend:
            figure.legend(*_listed(legend), loc="outside lower center", ncols=2, markerscale=2)
    return figure


def _draw(axes: Axes, layer: Layer) -> Artist:
    """A layer of one colour; returns what stands for it in a legend.

    Dots are drawn as one line that goes nowhere at each of them and has round ends: fifteen bytes a dot in a file, and
    its colour follows the page.
    """
    x, y = np.asarray(layer.places).T
    if layer.marker != "o":
        return axes.scatter(x, y, color=layer.colour, **_style(layer))
    places = np.repeat(np.column_stack([x, y]), 2, axis=0)
    line = Path(places, np.tile([Path.MOVETO, Path.LINETO], len(x)))
    line.should_simplify = False  # or it would leave out what goes nowhere
    ink: dict[str, Any] = {"edgecolor": layer.colour, "linewidth": layer.size**0.5, "alpha": layer.alpha}
    axes.add_patch(PathPatch(line, fill=False, capstyle="round", **ink))
    axes.autoscale_view()
    return axes.scatter([], [], color=layer.colour, **_style(layer))


def _style(layer: Layer) -> dict[str, Any]:
    return {
        "s": layer.size,
        "marker": layer.marker,
        "linewidths": 0 if layer.marker in "osDv^" else 0.8,
        "alpha": layer.alpha,
        "rasterized": len(layer.places) > MANY,
    }


def _listed(entries: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
    return list(entries.values()), list(entries)
