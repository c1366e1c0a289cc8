"""A map of features: two coordinates for each picture, made once and kept, and the figure of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from oodlib.errors import OodlibError
from oodlib.plots import COLOURS, ID_COLOUR, OOD_COLOUR, STYLE, WIDTH

FEWEST = 4  # rows: UMAP needs more neighbours than coordinates


def coordinates(features: Any, *, seed: int = 0) -> NDArray[np.float32]:
    """Two coordinates for each row by UMAP, by cosine: (N, D) -> (N, 2). Distances on a map are not those of the space.

    Raises
    ------
    OodlibError
        If there are fewer than four rows.

    References
    ----------
    McInnes, Healy and Melville, UMAP: Uniform Manifold Approximation and Projection, 2018.
    """
    rows = np.asarray(features, dtype=np.float32)
    if len(rows) < FEWEST:
        raise OodlibError(f"a map of {len(rows)} pictures says nothing: pass at least {FEWEST}")
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
        return np.asarray(made.fit_transform(rows), dtype=np.float32)


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
