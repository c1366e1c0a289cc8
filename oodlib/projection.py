"""A map of features: two coordinates for each picture, made once and kept, and the figure of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from oodlib.errors import OodlibError
from oodlib.plots import COLOURS, ID_COLOUR, OOD_COLOUR, STYLE, WIDTH

FEWEST = 4  # rows: UMAP needs more neighbours than coordinates
SCALE = (OOD_COLOUR, "#B8B8B8", ID_COLOUR)  # from low scores to high ones; book/_static/explorer.js has the same


def coordinates(features: Any, *, seed: int = 0) -> NDArray[np.float32]:
    """Two coordinates for each row by UMAP, by cosine: (N, D) -> (N, 2). Distances on a map are not those of the space.

    Equal rows get one place, and the order of the rows does not count: UMAP sees every distinct row once, in sorted
    order, on one thread, because ties and threads are what makes two of its runs differ. Another processor or another
    version may still draw another map, so keep the coordinates, and judge a map by its neighbourhoods
    (`trustworthiness`), never by its places.

    Raises
    ------
    OodlibError
        If there are fewer than four different rows.

    References
    ----------
    McInnes, Healy and Melville, UMAP: Uniform Manifold Approximation and Projection, 2018.
    """
    rows, place = np.unique(np.asarray(features, dtype=np.float32), axis=0, return_inverse=True)
    if len(rows) < FEWEST:
        raise OodlibError(f"a map of {len(rows)} different pictures says nothing: pass at least {FEWEST}")
    from umap import UMAP  # compiles for seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread
        made = UMAP(
            n_neighbors=min(15, len(rows) - 1),
            metric="cosine",
            init="pca",  # the default needs more rows than a small folder has
            random_state=seed,
            n_jobs=1,
        )
        drawn = np.asarray(made.fit_transform(rows), dtype=np.float32)
    return drawn[place]


def trustworthiness(features: Any, places: Any, *, neighbours: int = 15) -> float:
    """How far the neighbours on a map are neighbours in the space, by cosine: 1 if all are; a random map has about 0.5.

    Parameters
    ----------
    features : (N, D)
    places : (N, 2)
        As `coordinates` gives them.
    neighbours : int
        How many of each point are looked at; fewer where there are few points.

    References
    ----------
    Venna and Kaski, Neighborhood preservation in nonlinear projection methods, ICANN 2001; computed by scikit-learn.
    """
    from sklearn import manifold

    rows = np.asarray(features, dtype=np.float32)
    looked_at = min(neighbours, (len(rows) - 1) // 2)  # scikit-learn wants fewer than half of the rows
    return float(manifold.trustworthiness(rows, np.asarray(places), n_neighbors=looked_at, metric="cosine"))


def draw_map(table: pd.DataFrame) -> Figure:
    """Pictures on a map: those inside as filled dots, those outside as crosses.

    Parameters
    ----------
    table : DataFrame
        Columns `set` ("inside" or "outside"), `label`, `x`, `y`. Up to five labels of pictures inside have colours.
    """
    inside = table[table["set"] == "inside"]
    labels = list(inside["label"].value_counts().index) if inside["label"].nunique() <= 5 else []
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.2), layout="constrained", dpi=100)
        axes = figure.add_subplot()
        colours = [colour for colour in COLOURS if colour != OOD_COLOUR]
        for label, colour in zip(labels, colours, strict=False):
            part = inside[inside["label"] == label]
            axes.scatter(part["x"], part["y"], s=14, color=colour, linewidths=0, label=label or "inside")
        if not labels:
            axes.scatter(inside["x"], inside["y"], s=14, color=ID_COLOUR, linewidths=0, label="inside")
        outside = table[table["set"] == "outside"]
        axes.scatter(outside["x"], outside["y"], s=18, color=OOD_COLOUR, marker="x", linewidths=1, label="outside")
        axes.set(xticks=[], yticks=[])
        figure.legend(loc="outside right center")
    return figure


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
    """

    places: Any
    label: str
    colour: str = "#bbbbbb"
    values: Any = None
    marker: str = "o"
    size: float = 4.0


def draw_layers(
    panels: Mapping[str, Sequence[Layer]], *, columns: int = 2, height: float = 3.2, scale: str = ""
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
    """
    rows = -(-len(panels) // columns)
    colours = LinearSegmentedColormap.from_list("low to high", SCALE)
    entries: dict[str, Any] = {}
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height * rows + 0.5), layout="constrained", dpi=100)
        for k, (title, layers) in enumerate(panels.items()):
            axes = figure.add_subplot(rows, columns, k + 1)
            for layer in layers:
                x, y = np.asarray(layer.places).T
                shared: dict[str, Any] = {
                    "s": layer.size,
                    "marker": layer.marker,
                    "linewidths": 0 if layer.marker in "osDv^" else 0.8,
                }
                if layer.values is not None:
                    axes.scatter(x, y, c=np.asarray(layer.values), cmap=colours, vmin=0, vmax=1, **shared)
                else:
                    dots = axes.scatter(x, y, color=layer.colour, **shared)
                    entries.setdefault(layer.label, dots)
            axes.set(title=title, xticks=[], yticks=[])
            axes.grid(visible=False)
        if scale:
            bar = figure.colorbar(
                ScalarMappable(cmap=colours), ax=figure.axes, location="bottom", shrink=0.6, aspect=40, pad=0.02
            )
            bar.set_label(scale)
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=4, markerscale=2)
    return figure
