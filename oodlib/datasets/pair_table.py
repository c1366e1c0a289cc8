"""A table of pairs that a person wrote by hand or in a spreadsheet: a picture's path and its text a line, as CSV.

What is wrong with one line is said of that line, so that it loses no other.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from oodlib.datasets.picture_table import read_lines
from oodlib.errors import OodlibError

COLUMNS = ("path", "text")


class PairLine(NamedTuple):
    """One pair: `number` is that of its line in the file; `problem` says why the line holds none, else it is empty."""

    number: int
    path: str
    text: str
    problem: str = ""


def read_pairs(path: Path) -> list[PairLine]:
    """The lines of a CSV with the columns `path` and `text`; others are passed over.

    Raises
    ------
    OodlibError
        If the file cannot be read, or has no such columns or no lines.
    """
    columns, lines = read_lines(path, "path and text")
    if not lines or any(columns.count(name) != 1 for name in COLUMNS):
        raise OodlibError(
            f"{path} must have a first line with the columns path and text, each once, and a line for each pair"
        )
    return [_line(number, cells, columns) for number, cells in lines]


def _line(number: int, cells: list[str], columns: list[str]) -> PairLine:
    row = dict(zip(columns, cells, strict=False))
    written, text = row.get("path", ""), row.get("text", "")
    if len(cells) != len(columns):
        problem = (
            f"line {number} has {len(cells)} cells for {len(columns)} columns: write each, and put one that holds the "
            "separator in double quotes"
        )
        return PairLine(number, written, "", problem)
    if not written:
        return PairLine(number, "", text, f"line {number} names no picture: write its path, or delete the line")
    return PairLine(number, written, text)
