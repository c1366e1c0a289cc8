"""Two axes as a table of cells: a metric in colours with its numbers, or a picture of each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from PIL import Image

from oodlib.report.style import ON_CELL, STYLE, WIDTH


def heat_maps(
    tables: Mapping[str, ArrayLike],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    xlabel: str,
    ylabel: str,
    low: float = 0.5,
    high: float = 1.0,
) -> Figure:
    """Tables of shares, one under the other, in percent; all in one scale of colours.

    Parameters
    ----------
    tables : mapping of str to array, shape (R, C)
        By title; NaN is an empty cell.
    rows, columns : sequence of str
        Their names.
    xlabel, ylabel : str
        What the columns and the rows are.
    low, high : float
        The shares that have the palest and the darkest colour.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, (0.34 * len(rows) + 0.9) * len(tables)), layout="constrained", dpi=100)
        for place, (title, table) in enumerate(tables.items()):
            values = np.asarray(table, dtype=np.float64)
            axes = figure.add_subplot(len(tables), 1, place + 1)
            axes.imshow(values, cmap="cividis_r", vmin=low, vmax=high, aspect="auto")
            last = place == len(tables) - 1
            axes.set(title=title, ylabel=ylabel, xlabel=xlabel if last else "")
            axes.set_xticks(range(len(columns)), [column.replace(" ", "\n") for column in columns] if last else [])
            axes.set_yticks(range(len(rows)), [row.replace(" ", "\n") for row in rows])
            axes.tick_params(length=0)
            axes.grid(visible=False)
            axes.spines[:].set_visible(False)
            for (row, column), value in np.ndenumerate(values):
                dark = value > 0.45 * low + 0.55 * high
                text = "–" if np.isnan(value) else f"{100 * value:.0f}"
                axes.text(column, row, text, ha="center", va="center", color=ON_CELL[0] if dark else ON_CELL[1])
    return figure


def cell_pictures(
    paths: Sequence[Path], row: ArrayLike, column: ArrayLike, rows: Sequence[str], columns: Sequence[str]
) -> Figure:
    """The first picture of each cell; a cell without any stays white.

    Parameters
    ----------
    paths : sequence of Path, length n
    row, column : array-like of int, shape (n,)
        The cell of each picture.
    rows, columns : sequence of str
        Their names.
    """
    first: dict[tuple[int, int], Path] = {}
    for path, *cell in zip(paths, np.asarray(row).tolist(), np.asarray(column).tolist(), strict=True):
        first.setdefault((cell[0], cell[1]), path)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.8 * len(rows) + 0.4), layout="constrained", dpi=100)
        panels = np.reshape(figure.subplots(len(rows), len(columns), squeeze=False), (len(rows), len(columns)))
        for (place, other), axes in np.ndenumerate(panels):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if (place, other) in first:
                with Image.open(first[place, other]) as picture:
                    axes.imshow(np.asarray(picture.convert("RGB")), interpolation="lanczos")
            if place == 0:
                axes.set_title(columns[other].replace(" ", "\n"), fontweight="normal")
            if other == 0:
                axes.set_ylabel(rows[place].replace(" ", "\n"), rotation=0, ha="right", va="center")
    return figure
