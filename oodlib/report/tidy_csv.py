"""A table of the book as a CSV file that a program can read: one number a cell."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

NUMBER = r"[-\N{MINUS SIGN}]?\d+(?:\.\d+)?"
INTERVAL = re.compile(rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\]")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as it is shown, but for people's comforts.

    * "43.1 [41.9, 44.2]" becomes three columns, `<name>`, `<name> low` and `<name> high`, where every filled cell of
      the column is such an interval.
    * A first column that names a group in its first row only names it in every row.
    * Spaces that do not break are plain spaces, and names in code type (`` `mcm` ``) are plain text.

    Parameters
    ----------
    frame : DataFrame
    path : Path
        UTF-8, with a header; the index is left out.
    """
    tidy_columns(frame).to_csv(path, index=False, lineterminator="\n")


def tidy_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The table that `write_csv` writes."""
    columns: dict[str, pd.Series] = {}
    for place in range(frame.shape[1]):
        name = str(_plain(frame.columns[place]))
        cells = frame.iloc[:, place].map(_plain)
        if place == 0 and len(cells) and cells.iloc[0] != "":
            cells = cells.mask(cells.eq("")).ffill()
        filled = cells[cells.ne("")]
        found = [INTERVAL.fullmatch(cell) if isinstance(cell, str) else None for cell in filled]
        if found and all(found):
            parts = cells.astype(str).str.extract(INTERVAL)
            columns |= {name: parts[0], f"{name} low": parts[1], f"{name} high": parts[2]}
        else:
            columns[name] = cells
    return pd.DataFrame(columns)


def _plain(cell: object) -> object:
    """Text without the marks of typesetting; other values as they are."""
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\N{NO-BREAK SPACE}", " ")
    return text[1:-1] if re.fullmatch(r"`[^`]+`", text) else text
