"""From tables of results and scores to what a chapter shows: wide tables, worst mistakes, sentences for alt texts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from oodlib.datasets.base import Manifest
from oodlib.report.cells import Interval, percent

SHOWN = {"auroc": "AUROC", "fpr95": "fpr95", "fpr95_ood": "fpr95_ood"}


def pair_table(results: pd.DataFrame, id_set: str) -> pd.DataFrame:
    """All detectors on all OOD sets of one ID set, with intervals.

    The first column, a set's name, kind and size, groups the rows. Encoder, tuning, shots, parameters and seed are
    columns where they differ between rows; `page`, where results have one, is the last. Test-time methods, which look
    at the test pictures, carry a sign: ⇄.

    Parameters
    ----------
    results : DataFrame
        Tidy rows, as `oodlib.evaluation.tabulate` gives them.
    id_set : str
    """
    part = results[(results["id_set"] == id_set) & results["metric"].isin(list(SHOWN))].copy()
    part["detector"] += part["transductive"].map({True: " ⇄", False: ""})
    found = [Interval(*row) for row in part[["value", "low", "high"]].to_numpy()]
    part["cell"] = pd.Series(found, part.index, dtype=object)
    varying = [column for column in ("encoder", "tuning", "shots", "seed") if part[column].nunique() > 1]
    if part.groupby("detector")["parameters"].nunique().max() > 1:
        varying.append("parameters")
    part["OOD set"] = [f"{row.ood_set} ({row.ood_kind}, {row.n_ood})" for row in part.itertuples()]
    last = ["page"] if "page" in part else []
    keys = ["OOD set", *varying, "detector", *last]
    # Rows of several files come file by file: each set's go together, sets in the order in which they first appear.
    place = pd.factorize(part["OOD set"])[0]
    order = pd.MultiIndex.from_frame(part[keys].iloc[place.argsort(kind="stable")]).unique()
    wide = part.pivot(index=keys, columns="metric", values="cell").reindex(order)
    table = wide[list(SHOWN)].reset_index().rename(columns=SHOWN).rename_axis(columns=None)
    return table[[name for name in table if name not in last] + last]


def best_by_set(results: pd.DataFrame, metric: str) -> str:
    """The highest value on each OOD set and whose it is: "objects 91.2 % (mcm); near 70.0 % (energy)"."""
    rows = results[results["metric"] == metric]
    best = rows.loc[rows.groupby("ood_set", sort=False)["value"].idxmax()]
    rows_found = zip(best["ood_set"], best["value"], best["detector"], strict=True)
    return "; ".join(f"{name} {percent(value)} % ({detector})" for name, value, detector in rows_found)


def class_names(manifest: Manifest) -> list[str]:
    """What the pictures of a set show, each name once; none where nobody has named it."""
    return [name for name in manifest.table["label"].drop_duplicates() if name]


def score_frame(sets: Mapping[str, Manifest], scores: Mapping[str, Mapping[str, ArrayLike]]) -> pd.DataFrame:
    """Scores as detectors give them, in rows (set, detector, id, score), from `scores[detector][set]` of shape (n,)."""
    rows = [
        pd.DataFrame({"set": name, "detector": detector, "id": sets[name].table["id"], "score": np.asarray(values)})
        for detector, by_set in scores.items()
        for name, values in by_set.items()
    ]
    return pd.concat(rows, ignore_index=True)


def extremes(sets: Mapping[str, Manifest], scores: Mapping[str, ArrayLike], n: int, *, highest: bool) -> Manifest:
    """The `n` pictures of some sets that score highest, or lowest; the extreme one first.

    Parameters
    ----------
    sets : mapping of set name to Manifest
    scores : mapping of set name to (N,)
        The sets to look at, with their scores.
    """
    parts = [sets[name].table.assign(score=np.asarray(values)) for name, values in scores.items()]
    table = pd.concat(parts).sort_values("score", ascending=not highest, kind="stable").head(n)
    some = next(iter(sets.values()))
    return Manifest(some.name, some.root, table.reset_index(drop=True))
