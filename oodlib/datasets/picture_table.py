"""A table of pictures that a person wrote by hand or in a spreadsheet: a path and a label a line, as CSV.

What can be meant in one way only is taken so: spaces around cells, another case in the header, semicolons or tabs
between cells, empty lines. What would lose or change a label is refused with the number of its line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from oodlib.cache import check_source
from oodlib.errors import OodlibError

SEPARATORS = ",;\t"


class Line(NamedTuple):
    """One picture: `number` is that of the line in the file, `path` as it stands there."""

    number: int
    path: str
    label: str
    split: str


def read_table(path: Path) -> list[Line]:
    """The lines of a CSV with the columns `path` and `label`, and `split` if you like.

    Raises
    ------
    OodlibError
        If the file cannot be read, lacks a column or lines, or a line has more or fewer cells than the header.
    """
    columns, rest = read_lines(path, "path and label")
    if not rest or any(columns.count(name) != 1 for name in ("path", "label")) or columns.count("split") > 1:
        raise OodlibError(
            f"{path} must have a first line with the columns path and label, each once, and a line for each picture"
        )
    return [_line(path, number, cells, columns) for number, cells in rest]


def read_lines(path: Path, named: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a CSV in small letters, and the lines that are not empty, with their numbers.

    Parameters
    ----------
    path : Path
    named : str
        The columns that messages ask for.

    Raises
    ------
    OodlibError
        If the file cannot be read.
    """
    check_source(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            separator = max(SEPARATORS, key=header.count)  # a comma where there is none
            file.seek(0)
            lines = list(_cells(csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OodlibError(
            f"cannot read {path} ({getattr(error, 'strerror', None) or error}): pass a CSV in UTF-8 with the columns "
            f"{named}"
        ) from None
    (_, first), *rest = lines or [(0, [])]
    columns = [name.casefold() for name in first]
    return columns, [(number, _trimmed(cells, len(columns))) for number, cells in rest]


def _trimmed(cells: list[str], columns: int) -> list[str]:
    """Cells without the empty ones that a spreadsheet fills lines up with."""
    while len(cells) > columns and not cells[-1]:
        cells = cells[:-1]
    return cells


def _cells(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not empty, with their numbers."""
    for row in reader:
        if any(cells := [cell.strip() for cell in row]):
            yield reader.line_num, cells  # type: ignore[attr-defined]  # that of the line on which the row ends


def _line(path: Path, number: int, cells: list[str], columns: list[str]) -> Line:
    where = f"line {number} of {path}"
    if len(cells) != len(columns):
        raise OodlibError(
            f"{where} has {len(cells)} cells for {len(columns)} columns: write each, and put one that holds the "
            "separator in double quotes"
        )
    row = dict(zip(columns, cells, strict=True))
    if not row["path"]:
        raise OodlibError(f"{where} names no picture: write its path, or delete the line")
    return Line(number, row["path"], row["label"], row.get("split") or "all")


def locate(folder: Path, written: str) -> Path:
    r"""The file that a line means, from the table's folder; ``\`` counts as ``/`` where only that finds a file."""
    file = folder / written
    if "\\" in written and not _there(file) and _there(other := folder / written.replace("\\", "/")):
        return other
    return file


def _there(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        return False
