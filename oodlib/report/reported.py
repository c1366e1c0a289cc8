"""Numbers that papers report: reading and checking the file of them, and setting them beside a run's own results.

`book/_data/reported.csv` has one row a number. It is a copy of what others print, so a row says which convention the
number is in, where it stands, and how it was read. A value keeps the digits that were printed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from oodlib.errors import OodlibError
from oodlib.prompts.sets import templates

COLUMNS = (
    *("table", "label", "detector", "tuning", "shots", "training", "encoder", "weights", "prompts", "temperature"),
    *("id_set", "ood_set", "metric", "value", "convention", "paper", "source", "place", "read", "note"),
)
KEY = (
    *("label", "tuning", "shots", "encoder", "prompts", "temperature"),
    *("id_set", "ood_set", "metric", "source", "place"),
)
# The three readings of FPR95; the last one is for papers whose positive class could not be made sure of.
READINGS = {"fpr95": "ID kept", "fpr95_ood": "OOD caught", "fpr95_unknown": "reading not verified"}
METRICS = ("auroc", *READINGS, "id_accuracy")
READ = {
    "first-hand": "read in the paper's text or table, or in its authors' code, log or README",
    "table": "read in a results table, of the paper or of a later one that copies it",
    "recomputed": "computed again from scores that the authors released",
    "second-hand": "quoted by somebody else, and not seen in the source",
}
_JOIN = ("encoder", "weights", "tuning", "shots", "id_set", "ood_set", "detector", "metric")
HERE = ("here", "here_low", "here_high", "parameters")


def load_reported(path: Path) -> pd.DataFrame:
    """Read and check the file of reported numbers.

    Returns
    -------
    DataFrame
        The file's columns, with `value` as a number (percent) and, as one more column, `printed`: its digits.

    Raises
    ------
    OodlibError
        If the file cannot be read, or a row is not what it must be.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise OodlibError(f"{path} is not a readable table of reported numbers: restore it with git.") from error
    if tuple(table.columns) != COLUMNS:
        raise OodlibError(f"{path.name} must have the columns {', '.join(COLUMNS)}.")
    table["printed"] = table["value"]
    table["value"] = pd.to_numeric(table["value"], errors="coerce")
    problems = {
        "has a value that is no percentage": ~table["value"].between(0, 100),
        f"has a metric other than {', '.join(METRICS)}": ~table["metric"].isin(METRICS),
        f"was read in another way than {', '.join(READ)}": ~table["read"].isin(list(READ)),
        "names no source": table["source"] == "",
        "is there twice": table.duplicated(list(KEY)),
    }
    for problem, wrong in problems.items():
        if wrong.any():
            line = int(wrong.to_numpy().argmax())
            raise OodlibError(f"{path.name}, line {line + 2} ({table['label'].iloc[line]}) {problem}: mend the row.")
    return table


def beside_run(reported: pd.DataFrame, results: pd.DataFrame, models: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """Set each reported number beside the run's own number for the same cell, where there is one.

    A cell is the same if encoder and weights, tuning, shots, both sets, detector and metric are; names are compared
    without case and punctuation ("ViT-B/16" is "ViT-B-16"). Where both say their temperature or prompts, these must be
    the same, too.

    Parameters
    ----------
    reported : DataFrame
        As `load_reported` gives it.
    results : DataFrame
        Tidy rows of a run, as `oodlib.evaluation.read_results` gives them; values are shares.
    models : mapping of str to (str, str)
        Architecture and weights behind each name in the results' column `encoder`. An encoder that is not named has no
        match.

    Returns
    -------
    DataFrame
        The rows of `reported`, with `here`, `here_low`, `here_high` (shares, NaN where the cell was not run) and the
        `parameters` of the run's row. A number with several rows of the run comes once for each.
    """
    named = [models.get(name, (name, "")) for name in results["encoder"]]
    ours = results.assign(encoder=[one for one, _ in named], weights=[weights for _, weights in named])
    ours = ours.rename(columns={"value": "here", "low": "here_low", "high": "here_high"})
    ours = ours[ours["weights"] != ""].assign(key=lambda rows: _keys(rows))
    theirs = reported[(reported["weights"] != "") & (reported["detector"] != "")]
    theirs = theirs[["temperature", "prompts"]].assign(key=_keys(theirs), row=theirs.index)
    found = theirs.merge(ours[["key", *HERE]], on="key")
    settings = [json.loads(parameters or "{}") for parameters in found["parameters"]]
    both = zip(found["temperature"], found["prompts"], settings, strict=True)
    alike = [_same_temperature(tau, ours) and _same_prompts(prompts, ours) for tau, prompts, ours in both]
    same = pd.Series(alike, index=found.index, dtype=bool)
    return reported.join(found[same].set_index("row")[list(HERE)])


def _keys(rows: pd.DataFrame) -> pd.Series:
    """What must agree for two numbers to be of one cell, as one string a row."""
    plain = [rows[column].astype(str).map(_plain) for column in _JOIN]
    return pd.Series(["|".join(parts) for parts in zip(*plain, strict=True)], index=rows.index, dtype=object)


def _plain(name: str) -> str:
    """A name without case and punctuation, and without the activation that OpenAI's models always have."""
    return re.sub(r"[^a-z0-9]", "", name.lower().removesuffix("-quickgelu"))


def _same_temperature(reported: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the run's temperature is the reported one; True where one of them is not given."""
    ours = parameters.get("temperature")
    return not reported or ours is None or math.isclose(float(reported), ours, rel_tol=1e-3)


def _same_prompts(reported: str, parameters: Mapping[str, Any]) -> bool:
    """Whether the run's prompts are the reported ones; True where one of them is not given."""
    ours = parameters.get("prompts")
    if not reported or ours is None:
        return True
    sentences = templates(ours)
    said = sentences[0] if len(sentences) == 1 else f"{len(sentences)} templates"
    return _plain(reported) in {_plain(said), _plain(said.replace("{}", ""))}
