"""A map of features: two coordinates for each picture, made once and kept, and the figure of them."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from oodlib.errors import OodlibError, naming_extras
from oodlib.report.style import COLOURS, ID_COLOUR, OOD_COLOUR, STYLE, WIDTH

FEWEST = 4  # rows: UMAP needs more neighbours than coordinates
BLOCK = 1024  # rows compared with all others at a time


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
    UMAP = load_umap()
    k = min(15, len(rows) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread
        reducer = UMAP(
            n_neighbors=k,
            metric="cosine",
            precomputed_knn=_neighbours(rows, k),
            force_approximation_algorithm=True,  # or it leaves the neighbours aside and compares pair by pair in Python
            init="pca",  # the default needs more rows than a small folder has
            random_state=seed,
            n_jobs=1,
        )
        drawn = np.asarray(reducer.fit_transform(rows), dtype=np.float32)
    return drawn[place]


def load_umap() -> Any:
    """The class `umap.UMAP`, whose functions are compiled once on a machine, not for 12 seconds in every process."""
    with naming_extras():
        from umap import UMAP, layouts, umap_

    for function in [*vars(umap_).values(), *vars(layouts).values()]:
        if hasattr(function, "enable_caching"):  # numba compiles it
            with contextlib.suppress(RuntimeError):  # nowhere to write: it is compiled again
                function.enable_caching()
    return UMAP


def _neighbours(rows: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest rows of each row by cosine, the row itself first, and their distances, one minus the cosine."""
    sphere = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    found, distances = [], []
    for start in range(0, len(rows), BLOCK):
        block = np.maximum(1 - sphere[start : start + BLOCK] @ sphere.T, 0)
        block[np.arange(len(block)), np.arange(start, start + len(block))] = -1  # itself first, whatever rounding says
        nearest = _smallest(block, k)
        found.append(nearest)
        distances.append(np.maximum(np.take_along_axis(block, nearest, axis=1), 0))
    return np.concatenate(found), np.concatenate(distances)


def _smallest(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The places of the k smallest values of each row, smallest first, of equal ones the first: (n, N) -> (n, k).

    What a stable sort of whole rows gives, in a fifth of its time.
    """
    among = values <= np.partition(values, k - 1, axis=1)[:, k - 1 : k]
    tied = among.sum(1) > k  # more are as small as the k-th
    places = np.empty((len(values), k), np.int64)
    places[tied] = np.argsort(values[tied], axis=1, kind="stable")[:, :k]
    found = np.nonzero(among[~tied])[1].reshape(-1, k)
    order = np.argsort(np.take_along_axis(values[~tied], found, axis=1), axis=1, kind="stable")
    places[~tied] = np.take_along_axis(found, order, axis=1)
    return places


def trustworthiness(features: Any, places: Any, *, neighbours: int = 15) -> float:
    """How far the neighbours on a map are neighbours in the space, by cosine: 1 if all are; a random map has about 0.5.

    Of equal rows the first counts, with its place: copies are neighbours of each other in the space, and would vouch
    for any map.

    Parameters
    ----------
    features : (N, D)
    places : (N, 2)
        As `coordinates` gives them.
    neighbours : int
        How many of each point are looked at; fewer where there are few points.

    Raises
    ------
    OodlibError
        If there are fewer than four different rows.

    References
    ----------
    Venna and Kaski, Neighborhood preservation in nonlinear projection methods, ICANN 2001; computed by scikit-learn.
    """
    from sklearn import manifold

    rows, first = np.unique(np.asarray(features, dtype=np.float32), axis=0, return_index=True)
    if len(rows) < FEWEST:
        raise OodlibError(f"a map of {len(rows)} different pictures says nothing: pass at least {FEWEST}")
    looked_at = min(neighbours, (len(rows) - 1) // 2)  # scikit-learn wants fewer than half of the rows
    return float(manifold.trustworthiness(rows, np.asarray(places)[first], n_neighbors=looked_at, metric="cosine"))


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
        figure.legend(loc="outside lower center", ncols=3)
    return figure
