"""Tables of reported numbers for a page: as papers lay them out, beside a run's own, and how far they spread."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from oodlib.report.cells import NBSP, Interval
from oodlib.report.reported import READINGS

FOUR, MEAN = ("iNaturalist", "SUN", "Places", "Textures"), "mean of four"
NOT_RUN = "not run here"
_STREAM = "reads the test stream"
_METHOD = (
    "label",
    "training",
    "encoder",
    "id_set",
    "prompts",
    "temperature",
    "paper",
    "source",
    "place",
    "read",
    "note",
)


def layout(rows: pd.DataFrame) -> pd.DataFrame:
    """Lay numbers out as papers do: a row a method and source, a column an OOD set.

    Where there are other OOD sets than the usual four and their mean, each has a row of its own. Columns that would say
    nothing are left out; so is the column `this run`, unless one of the numbers was run. A method that reads the test
    stream carries a sign: ⇄.

    Parameters
    ----------
    rows : DataFrame
        Some rows of what `oodlib.report.reported.beside_run` gives.
    """
    wide = set(rows["ood_set"]) <= {*FOUR, MEAN, ""}
    by = list(_METHOD) if wide else [*_METHOD, "ood_set"]
    lines = [line for _, part in rows.groupby(by, sort=False) for line in _lines(part, wide=wide)]
    table = pd.DataFrame(lines)
    idle = [name for name in table if set(table[name]) <= {"–", "none", "", NOT_RUN}]
    same = [name for name in ("encoder", "ID set") if table[name].nunique() == 1]
    return table.drop(columns=list(dict.fromkeys([*idle, *same])))


def side_by_side(rows: pd.DataFrame) -> pd.DataFrame:
    """The reported numbers of every method and source of which at least one was run, each with the run's own.

    A difference is the run's number minus the reported one, in points. Its interval is that of the run's number.

    Parameters
    ----------
    rows : DataFrame
        Some rows of what `oodlib.report.reported.beside_run` gives.

    Returns
    -------
    DataFrame
        No rows where nothing was run. A cell that was not run says so.
    """
    ran = rows.groupby(list(_METHOD))["here"].transform(lambda here: here.notna().any()).astype(bool)
    part = rows[ran]
    ours = part[["here", "here_low", "here_high"]].to_numpy(dtype=float)
    apart = ours - part[["value"]].to_numpy(dtype=float) / 100
    known = ~np.isnan(ours[:, 0])
    sources = zip(part["paper"], part["source"], part["place"], strict=True)
    return pd.DataFrame(
        {
            "method": part["label"],
            "ID set": part["id_set"],
            "OOD set": part["ood_set"].replace("", "–"),
            "metric": part["metric"],
            "source": [_cited(*map(str, source)) for source in sources],
            "reported": part["printed"],
            "this run": [Interval(*row) if ran else NOT_RUN for row, ran in zip(ours, known, strict=True)],
            "difference": [Interval(*row) if ran else "–" for row, ran in zip(apart, known, strict=True)],
            "parameters": ("`" + part["parameters"] + "`").fillna("–"),
        }
    )


def spread(reported: pd.DataFrame, *, id_set: str = "ImageNet-1k", encoder: str = "ViT-B/16") -> pd.DataFrame:
    """The means over the usual four OOD sets of methods that nobody tuned and that several sources report.

    Returns
    -------
    DataFrame
        Rows of `reported`, methods with most sources first.
    """
    usual = reported[(reported["ood_set"] == MEAN) & (reported["id_set"] == id_set) & (reported["encoder"] == encoder)]
    usual = usual[(usual["tuning"] == "none") & (usual["table"] != "prompts")]
    sources = usual.groupby("label")["source"].transform("nunique")
    return usual[sources > 1].assign(sources=sources).sort_values("sources", ascending=False, kind="stable")


def _lines(part: pd.DataFrame, *, wide: bool) -> Iterator[dict[str, str]]:
    """The lines of one method and source: one for each reading of FPR95 that it gives."""
    first = part.iloc[0].astype(str)
    cells = zip(part["ood_set"], part["metric"], part["printed"], strict=True)
    numbers = {(str(ood), str(metric)): str(printed) for ood, metric, printed in cells}
    ran = part.drop_duplicates(["ood_set", "metric"])["here"].notna() if "here" in part else pd.Series(dtype=bool)
    for reading in [name for name in READINGS if name in set(part["metric"])] or [""]:
        line = {
            "method": first["label"] + (" ⇄" if _STREAM in first["training"] else ""),
            "training": first["training"].replace(f", {_STREAM}", ""),
            "encoder": first["encoder"] or "not read",
            "ID set": first["id_set"],
        }
        sets = dict.fromkeys((MEAN, *FOUR), "–")
        if wide:
            for name in sets:
                pair = [numbers.get((name, metric), "–") for metric in ("auroc", reading)]
                sets[name] = "–" if set(pair) == {"–"} else f"{NBSP}/{NBSP}".join(pair)
            line[MEAN] = sets.pop(MEAN)  # first, where a narrow screen shows it
        else:
            line["OOD set"] = first["ood_set"]
            line["AUROC"] = numbers.get((first["ood_set"], "auroc"), "–")
            line["FPR95"] = numbers.get((first["ood_set"], reading), "–")
        line |= {
            "ID accuracy": numbers.get(("", "id_accuracy"), "–"),
            "this run": f"{ran.sum()} of {len(ran)} numbers" if ran.any() else NOT_RUN,
            "convention": _convention(first, reading),
            "source": _cited(first["paper"], first["source"], first["place"], first["note"]),
            "read": first["read"],
        }
        yield line | sets


def _convention(row: pd.Series, reading: str) -> str:
    """What is known about how a number was made: the reading of FPR95, the temperature on raw cosines, the prompt."""
    notes = [READINGS.get(reading, "")]
    notes += [f"τ{NBSP}={NBSP}{row['temperature']}"] if row["temperature"] else []
    notes += [f"prompt: {row['prompts']}"] if row["prompts"] else []
    return ", ".join(filter(None, notes))


def _cited(paper: str, source: str, place: str, note: str = "") -> str:
    """A source by its short name, as a citation, with the place in it."""
    return "; ".join(filter(None, [f"{paper} {{cite:p}}`{source}`, {place}", note]))
