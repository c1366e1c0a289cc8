"""What stands in the cells of a table: shares in percent, with their intervals; and the file that holds its numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

NBSP = "\N{NO-BREAK SPACE}"
LINK = re.compile(r"\[([^\]]+)\]\(\w+\.ipynb\)|\{download\}`([^`<]+) <[^>]+>`")  # within the site


def percent(share: float) -> str:
    """A share as a percentage with one decimal, without the sign: 0.4309 is "43.1"."""
    return f"{100 * share:.1f}"


@dataclass(frozen=True)
class Interval:
    """A share and the bounds of its interval: numbers, which a page shows in percent and a file has in three columns.

    >>> Interval(0.4309, 0.4188, 0.4421).texts
    ('43.1', '41.9', '44.2')
    """

    value: float
    low: float
    high: float

    @property
    def texts(self) -> tuple[str, str, str]:
        """The three numbers in percent, with one decimal each."""
        return percent(self.value), percent(self.low), percent(self.high)

    def __str__(self) -> str:
        """All on one line, which does not break: "43.1 [41.9, 44.2]"."""
        value, low, high = self.texts
        return f"{value}{NBSP}[{low},{NBSP}{high}]"


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as a CSV file that a program can read: one number a cell.

    A column of intervals becomes three, `<name>`, `<name> low` and `<name> high`, in percent; a row without one stays
    empty there. A column in which other cells stand, too, is written as it is shown. Text loses the marks of
    typesetting: spaces that do not break, code type (`` `mcm` ``), and links to pages and files of the site.

    Parameters
    ----------
    frame : DataFrame
    path : Path
        UTF-8, with a header; the index is left out.
    """
    columns: dict[str, pd.Series] = {}
    for heading, cells in frame.items():
        name = str(_plain(heading))
        filled = [cell for cell in cells if cell != ""]
        if filled and all(isinstance(cell, Interval) for cell in filled):
            for place, column in enumerate((name, f"{name} low", f"{name} high")):
                columns[column] = cells.map(lambda cell, place=place: cell and cell.texts[place])
        else:
            columns[name] = cells.map(_plain)
    pd.DataFrame(columns).to_csv(path, index=False, lineterminator="\n")


def _plain(cell: object) -> object:
    """Text without the marks of typesetting; numbers as they are."""
    if not isinstance(cell, str | Interval):
        return cell
    text = LINK.sub(r"\1\2", str(cell).replace(NBSP, " "))
    return text[1:-1] if re.fullmatch(r"`[^`]+`", text) else text
