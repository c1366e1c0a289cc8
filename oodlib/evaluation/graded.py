"""Graded shift: how a metric moves as pictures drift from the ID classes in meaning and in style (IS-OOD).

Being OOD is a matter of degree. Pictures are sorted into the cells of a table, one row for each level of *semantic*
shift (what is shown) and one column for each level of *covariate* shift (how it is shown), and the ID pictures are held
against every cell. What a detector answers to is then read from the margins: the mean of the metric at each level of
one axis over the cells of the other, and the slope of a line through these means.

References
----------
Long et al., Rethinking the Evaluation of Out-of-Distribution Detection: A Sorites Paradox, NeurIPS 2024, and the
authors' code (qqwsad5/IS-OOD).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import as_scores, ood_metrics
from oodlib.evaluation.ranking import METRICS, Array, Aupr, Cut, Ranking

Axis = Literal["semantic", "covariate"]
SMALLEST = 10  # pictures a cell must have, as in the authors' code


@dataclass(frozen=True, eq=False)
class Grid:
    """A metric in every cell.

    Attributes
    ----------
    values : dict of str to array, shape (S, V)
        Each metric of `ood_metrics`, as a share; NaN in a cell that has too few pictures.
    counts : array of int, shape (S, V)
        Pictures in each cell.
    """

    values: dict[str, Array]
    counts: Array


@dataclass(frozen=True, eq=False)
class Trend:
    """How a metric moves along one axis.

    Attributes
    ----------
    means : array, shape (L,)
        The metric at each level: the mean over the other axis, of the cells that are not empty; NaN where all are.
    slope : float
        Of the least-squares line through the means, in units of the metric for each level; NaN with fewer than two.
        The authors print its absolute value as "sens", which hides the direction.
    pearson : float
        Correlation of the means with the level; NaN where there are fewer than two or they are all equal.
    """

    means: Array
    slope: float
    pearson: float


def grid(
    id_scores: Any,
    ood_scores: Any,
    semantic: Any,
    covariate: Any,
    *,
    smallest: int = SMALLEST,
    cut: Cut = "first",
    aupr: Aupr = "step",
) -> Grid:
    """Hold the ID pictures against every cell.

    Parameters
    ----------
    id_scores : array-like, shape (n,)
        Scores of the ID pictures, larger = more ID.
    ood_scores : array-like, shape (m,)
        Scores of the graded pictures.
    semantic, covariate : array-like of int, shape (m,)
        The levels of each graded picture, from 0.
    smallest : int, default=10
        A cell with fewer pictures is empty.
    cut, aupr
        As in `ood_metrics`.

    Raises
    ------
    OodlibError
        If scores are not numbers, or a level is missing, negative or no whole number.

    Examples
    --------
    >>> found = grid([3, 4], [2, 1, 3.5, 0], [0, 1, 0, 1], [0, 0, 1, 1], smallest=1)
    >>> found.values["auroc"]
    array([[1. , 0.5],
           [1. , 1. ]])
    >>> trend(found.values["auroc"], "semantic").slope
    0.25
    """
    inside, scores = as_scores(id_scores, "id_scores"), as_scores(ood_scores, "ood_scores")
    rows, columns = (
        _levels(levels, name, len(scores)) for levels, name in ((semantic, "semantic"), (covariate, "covariate"))
    )
    counts = np.zeros((rows.max() + 1, columns.max() + 1), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    values = {metric: np.full(counts.shape, np.nan) for metric in METRICS}
    for row, column in np.argwhere(counts >= max(smallest, 1)):
        found = ood_metrics(inside, scores[(rows == row) & (columns == column)], cut=cut, aupr=aupr)
        for metric in METRICS:
            values[metric][row, column] = found[metric]
    return Grid(values, counts)


def as_released(values: Array) -> Array:
    """A table of shares as the authors' analysis reads it: percent with two decimals, and 0.00 is an empty cell.

    A detector that is perfect in a cell has an FPR of 0.00 there and loses the cell, so its mean gets *worse*.

    >>> as_released(np.array([[0.25, 0.0]]))
    array([[25., nan]])
    """
    rounded: Array = np.round(100 * np.asarray(values, dtype=np.float64), 2)
    return np.where(rounded > 1e-16, rounded, np.nan)


def trend(values: Array, axis: Axis) -> Trend:
    """Means of a table (S, V) along an axis, and the line through them; empty cells are NaN."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or axis not in ("semantic", "covariate"):
        raise OodlibError(f'pass a table (S, V) and axis="semantic" or "covariate", not {table.shape} and {axis!r}')
    means, slopes = _lines(table[None], axis)
    found = means[0]
    filled = np.isfinite(found)
    spread = found[filled].std() if filled.any() else 0.0
    level = np.flatnonzero(filled)
    pearson = float(slopes[0] * level.std() / spread) if len(level) > 1 and spread > 0 else float("nan")
    return Trend(found, float(slopes[0]), pearson)


def slope_draws(
    id_scores: Any, ood_scores: Any, semantic: Any, covariate: Any, *, id_weights: Array, weights: Array
) -> dict[Axis, Array]:
    """Slopes of the AUROC under re-weightings of the pictures, for intervals: two arrays of shape (R,).

    Parameters
    ----------
    id_scores, ood_scores, semantic, covariate
        As in `grid`.
    id_weights, weights : array, shape (R, n) and (R, m)
        How often each picture counts in each draw: give the pictures of one concept the same count, because they stand
        or fall together (`concept_draws`). A cell that a draw leaves without pictures is empty in it.
    """
    inside, scores = as_scores(id_scores, "id_scores"), as_scores(ood_scores, "ood_scores")
    rows, columns = (
        _levels(levels, name, len(scores)) for levels, name in ((semantic, "semantic"), (covariate, "covariate"))
    )
    tables = np.full((len(weights), rows.max() + 1, columns.max() + 1), np.nan)
    for row, column in {*zip(rows.tolist(), columns.tolist(), strict=True)}:
        here = (rows == row) & (columns == column)
        drawn = weights[:, here].sum(axis=1) > 0
        ranking = Ranking.of(inside, scores[here])
        tables[drawn, row, column] = ranking.auroc(id_weights[drawn], weights[np.ix_(drawn, here)])
    return {axis: _lines(tables, axis)[1] for axis in ("semantic", "covariate")}


def concept_draws(*concepts: Sequence[str], n_boot: int, seed: int) -> list[Array]:
    """How often each picture counts when concepts are drawn with replacement: one array (n_boot, pictures) a list.

    Each list of pictures has draws of its own; a concept that is in two lists counts the same in both.
    """
    known = sorted({concept for listed in concepts for concept in listed})
    place = {concept: index for index, concept in enumerate(known)}
    drawn = np.random.default_rng(seed).multinomial(len(known), np.full(len(known), 1 / len(known)), size=n_boot)
    return [drawn[:, [place[concept] for concept in listed]].astype(np.float64) for listed in concepts]


def _lines(tables: Array, axis: Axis) -> tuple[Array, Array]:
    """Means (R, L) at each level and slopes (R,) of the lines through them, for R tables."""
    other = 2 if axis == "semantic" else 1
    filled = np.isfinite(tables)
    number = filled.sum(axis=other)
    with np.errstate(invalid="ignore"):
        means = np.where(number > 0, np.where(filled, tables, 0).sum(axis=other) / number, np.nan)
        present = np.isfinite(means)
        size = present.sum(axis=1, keepdims=True)
        level = np.where(present, np.arange(means.shape[1]), 0.0)
        level = np.where(present, level - level.sum(axis=1, keepdims=True) / size, 0.0)
        centred = np.where(present, means - np.nansum(means, axis=1, keepdims=True) / size, 0.0)
        return means, (level * centred).sum(axis=1) / (level**2).sum(axis=1)


def _levels(levels: Any, name: str, n: int) -> Array:
    found = np.asarray(levels)
    if found.shape != (n,) or n == 0 or found.dtype.kind not in "iu" or found.min() < 0:
        raise OodlibError(f"{name} must hold a level of each of the {n} graded pictures, a whole number from 0")
    return found.astype(np.int64)
