"""Every figure of the book, in one house style (`oodlib.report.style`), labelled in place.

Scores are larger for in-distribution pictures, as everywhere in `oodlib`. Each function returns a figure and shows
nothing; `oodlib.report.pages.show` puts it on a page with its alternative text.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike
from PIL import Image

from oodlib.report.style import COLOURS, ID_COLOUR, LINES, OOD_COLOUR, RULE, SMALLEST, STYLE, WIDTH
from oodlib.report.svg import hover

if TYPE_CHECKING:
    from oodlib.datasets.base import Manifest

METRICS = {"auroc": "AUROC (%)", "fpr95": "fpr95 (%)", "fpr95_ood": "fpr95_ood (%)"}


def _grid(
    n: int, *, height: float, columns: int | None = None, xlabel: str = "", ylabel: str = ""
) -> tuple[Figure, list[Axes]]:
    """A figure of the house's width with `n` panels in rows of at most `columns`, by default two.

    `height` is that of a row in inches. The labels stand under the lowest panels and left of the first ones only.
    """
    columns = min(n, columns or 2)
    rows = math.ceil(n / columns)
    figure = Figure(figsize=(WIDTH, height * rows), layout="constrained", dpi=100)
    panels = [figure.add_subplot(rows, columns, k + 1) for k in range(n)]
    for k, axes in enumerate(panels):
        axes.set(xlabel=xlabel if k + columns >= n else "", ylabel=ylabel if k % columns == 0 else "")
    return figure, panels


def _legend(figure: Figure, panels: Sequence[Axes], columns: int) -> None:
    """One legend for all panels, below them."""
    handles, labels = panels[0].get_legend_handles_labels()
    if len(labels) > 1:  # else there is nothing to tell apart
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)


def cuts_at_95(id_scores: ArrayLike, ood_scores: ArrayLike) -> tuple[float, float]:
    """The two cuts behind the two FPR95s: the largest that keeps 95 % of ID, the smallest that catches 95 % of OOD.

    A picture passes when its score is at or above the cut. For the second cut, 95 % of the OOD scores are at or below.

    Returns
    -------
    (float, float)
        The cut for `fpr95` and the cut for `fpr95_ood`, on the scores' scale.
    """
    inside, outside = np.sort(np.asarray(id_scores)), np.sort(np.asarray(ood_scores))
    keep = math.ceil(0.95 * len(inside))
    catch = math.ceil(0.95 * len(outside))
    return float(inside[len(inside) - keep]), float(outside[catch - 1])


def score_histogram(id_scores: ArrayLike, ood_scores: Mapping[str, ArrayLike], *, xlabel: str = "score") -> Figure:
    """How the scores of ID and OOD pictures overlap, one panel an OOD set, with the two cuts at 95 %.

    Parameters
    ----------
    id_scores : (N,)
    ood_scores : mapping of set name to (M,)
    xlabel : str
        What the score is.
    """
    from seaborn import histplot  # here: it takes half a second, which pages without a histogram save

    inside = np.asarray(id_scores)
    everything = np.concatenate([inside, *[np.asarray(scores) for scores in ood_scores.values()]])
    bins = np.linspace(everything.min(), everything.max(), 41)
    with rc_context(STYLE):
        figure, panels = _grid(
            len(ood_scores), height=1.5 if len(ood_scores) > 1 else 2.4, xlabel=xlabel, ylabel="density"
        )
        for axes, (name, scores) in zip(panels, ood_scores.items(), strict=True):
            # Set again below: seaborn writes labels of its own where there are none.
            labels = {"xlabel": axes.get_xlabel(), "ylabel": axes.get_ylabel()}
            shape: dict[str, Any] = {"bins": bins, "stat": "density", "element": "step", "linewidth": 1.4, "ax": axes}
            histplot(x=inside, color=ID_COLOUR, alpha=0.25, label="in-distribution", **shape)
            histplot(x=np.asarray(scores), color=OOD_COLOUR, fill=False, label="out-of-distribution", **shape)
            keep, catch = cuts_at_95(inside, scores)
            axes.axvline(keep, color=ID_COLOUR, linestyle="--", linewidth=1.2, label="keeps 95 % of ID")
            axes.axvline(catch, color=OOD_COLOUR, linestyle=":", linewidth=1.6, label="catches 95 % of OOD")
            axes.set(title=name, yticks=[], **labels)
            axes.xaxis.set_major_locator(MaxNLocator(3))
        _legend(figure, panels, 2)
    return figure


def roc_points(id_scores: ArrayLike, ood_scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve: OOD accepted and ID kept at every cut, ties in one step; both (P,), from 0 to 1."""
    inside, outside = np.asarray(id_scores), np.asarray(ood_scores)
    cuts = np.unique(np.concatenate([inside, outside]))[::-1]
    kept = (len(inside) - np.searchsorted(np.sort(inside), cuts)) / len(inside)  # 1 - x / n would round 0.05 up
    accepted = (len(outside) - np.searchsorted(np.sort(outside), cuts)) / len(outside)
    return np.concatenate([[0.0], accepted]), np.concatenate([[0.0], kept])


def roc(scores: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]]) -> Figure:
    """ROC curves, one panel an OOD set and one line a detector, with the lines on which the two FPR95s are read.

    On the dashed level line (95 % of ID kept) a curve shows `fpr95` as its distance from the left edge; on the dotted
    upright line (5 % of OOD accepted) it shows `fpr95_ood` as its distance from the top edge.

    Parameters
    ----------
    scores : mapping of OOD set to mapping of detector to (ID scores (N,), OOD scores (M,))
    """
    with rc_context(STYLE):
        figure, panels = _grid(
            len(scores), height=3.6 if len(scores) == 1 else 2.2, xlabel="OOD accepted (%)", ylabel="ID kept (%)"
        )
        for axes, (name, detectors) in zip(panels, scores.items(), strict=True):
            for k, (detector, pair) in enumerate(detectors.items()):
                x, y = roc_points(*pair)
                axes.plot(100 * x, 100 * y, color=COLOURS[k % 7], linestyle=LINES[k % 6], label=detector, linewidth=1.3)
                level, upright = np.argmax(y >= 0.95), np.flatnonzero(x <= 0.05)[-1]
                axes.plot(100 * x[level], 100 * y[level], "o", color=COLOURS[k % 7], markersize=4)
                axes.plot(100 * x[upright], 100 * y[upright], "s", color=COLOURS[k % 7], markersize=4)
            axes.axhline(95, color=RULE, linestyle="--", linewidth=0.9)
            axes.axvline(5, color=RULE, linestyle=":", linewidth=1.2)
            ticks = (0, 25, 50, 75, 100)
            axes.set(title=name, xlim=(0, 100), ylim=(0, 100.5), xticks=ticks, yticks=ticks, aspect="equal")
        _legend(figure, panels, 3)
    return figure


def forest(frame: pd.DataFrame, metric: str) -> Figure:
    """One metric of every detector with its interval, one panel an OOD set.

    Parameters
    ----------
    frame : DataFrame
        Tidy results of one ID set: columns `ood_set`, `detector`, `metric`, `value`, `low`, `high` (shares, 0 to 1).
    metric : str
        A key of `METRICS`.
    """
    rows = frame[frame["metric"] == metric]
    detectors, sets = list(dict.fromkeys(rows["detector"])), list(dict.fromkeys(rows["ood_set"]))
    with rc_context(STYLE):
        figure, panels = _grid(len(sets), height=0.5 + 0.19 * len(detectors), xlabel=METRICS[metric])
        lowest, highest = 100 * rows["low"].min(), 100 * rows["high"].max()
        for axes, name in zip(panels, sets, strict=True):
            part = (
                rows[rows["ood_set"] == name].set_index("detector").reindex(detectors)
            )  # not every detector has a number everywhere
            value, low, high = (100 * part[column].to_numpy() for column in ("value", "low", "high"))
            at = np.arange(len(detectors))[::-1]
            axes.hlines(at, low, high, color=ID_COLOUR, linewidth=2)
            (marks,) = axes.plot(value, at, "o", color=ID_COLOUR, markersize=5)
            said = zip(detectors, value, low, high, strict=True)
            hover(marks, [f"{d}: {v:.1f} [{a:.1f}, {b:.1f}]" for d, v, a, b in said if not np.isnan(v)])
            first = axes.get_position().x0 == panels[0].get_position().x0  # in the left column
            axes.set(title=name, yticks=at, yticklabels=detectors if first else [], ylim=(-0.6, len(detectors) - 0.4))
            axes.set_xlim(lowest - 2, highest + 2)  # one scale for all panels: they are there to be compared
            axes.grid(axis="y", visible=False)
    return figure


def spread(frame: pd.DataFrame, readings: Mapping[str, str]) -> Figure:
    """What several sources report for the same method on the same sets: AUROC left, FPR95 right, a mark a source.

    Parameters
    ----------
    frame : DataFrame
        Columns `label` (the method), `metric` and `value` in percent, as `oodlib.report.reported_tables.spread` gives
        them.
    readings : mapping of metric to label
        The readings of FPR95 that are drawn, each with its own mark.
    """
    labels = list(dict.fromkeys(frame["label"]))
    with rc_context(STYLE):
        figure, panels = _grid(2, height=0.9 + 0.38 * len(labels))
        for axes, drawn in zip(panels, ({"auroc": "AUROC"}, readings), strict=True):
            for k, (metric, name) in enumerate(drawn.items()):
                colour = COLOURS[4 if metric == "auroc" else k]
                part = frame[frame["metric"] == metric]
                # Marks of one method stand one above the other, so that equal numbers do not hide each other.
                above = part.groupby("label").cumcount() - (part.groupby("label")["value"].transform("size") - 1) / 2
                at = part["label"].map(labels.index) + 0.09 * above
                style: dict[str, Any] = {"marker": "oD^"[k], "fillstyle": "none" if k else "full", "color": colour}
                axes.plot(part["value"], at, linestyle="", markersize=5, label=name, **style)
            axes.set(yticks=range(len(labels)), yticklabels=labels if axes is panels[0] else [])
            axes.set(ylim=(len(labels) - 0.4, -0.6), xlabel="AUROC (%)" if axes is panels[0] else "FPR95 (%)")
            axes.grid(axis="y", visible=False)
        handles, names = panels[1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def sweep(frame: pd.DataFrame, x: str, metric: str, *, xlabel: str, marks: Mapping[str, float] | None = None) -> Figure:
    """How a metric changes with one number (a temperature, say), one line an OOD set, its interval as a band.

    Parameters
    ----------
    frame : DataFrame
        Columns `x`, `ood_set`, `metric`, `value`, `low`, `high`.
    x : str
        The column of the number, drawn on a logarithmic axis.
    metric, xlabel : str
        What is drawn (a key of `METRICS`), and what the number is.
    marks : mapping of label to x, optional
        Values to point out by an upright line.
    """
    rows = frame[frame["metric"] == metric]
    with rc_context(STYLE):
        figure, (axes,) = _grid(1, height=3.6)
        for k, (name, part) in enumerate(rows.groupby("ood_set", sort=False)):
            ordered = part.sort_values(x)
            axes.plot(ordered[x], 100 * ordered["value"], color=COLOURS[k % 7], linestyle=LINES[k % 6], label=str(name))
            axes.fill_between(
                ordered[x], 100 * ordered["low"], 100 * ordered["high"], color=COLOURS[k % 7], alpha=0.15, linewidth=0
            )
        for label, at in (marks or {}).items():
            axes.axvline(at, color=RULE, linewidth=1, linestyle=":")
            axes.annotate(label, (at, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom")
        axes.set(xscale="log", xlabel=xlabel, ylabel=METRICS[metric])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))  # exponents would be small print
        _legend(figure, [axes], 2)
    return figure


def contact_sheet(
    manifest: Manifest, n: int = 24, *, captions: Sequence[str] | None = None, columns: int = 4
) -> Figure:
    """Pictures side by side, the first `n` of a manifest.

    Parameters
    ----------
    manifest : Manifest
    n : int
        At most this many pictures.
    captions : sequence of str, optional
        Text under each picture; by default the manifest's labels.
    columns : int
        Pictures in a row.
    """
    paths = manifest.paths()[:n]
    given = list(manifest.table["label"]) if captions is None else list(captions)
    labels = ["\n".join(textwrap.fill(line, 60 // columns) for line in label.splitlines()) for label in given[:n]]
    lines = max(label.count("\n") + 1 for label in labels)
    with rc_context(STYLE):
        figure, panels = _grid(len(paths), columns=columns, height=WIDTH / columns + 0.14 * lines)
        for axes, path, label in zip(panels, paths, labels, strict=True):
            with Image.open(path) as picture:
                axes.imshow(np.asarray(picture.convert("RGB")), interpolation="lanczos")
            axes.set_axis_off()
            axes.set_anchor("N")  # at the top of its place, so that the text below has all the room
            axes.text(0.5, -0.03, label, transform=axes.transAxes, ha="center", va="top", fontsize=SMALLEST)
    return figure
