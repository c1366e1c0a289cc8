"""A table of results in the format that was asked for: for a person, a script or a browser."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

from rich.table import Table
from rich.text import Text

from oodlib.cache import check_target, write_atomically
from oodlib.cli.console import out, plain, plain_lines
from oodlib.datasets.folder import SUFFIXES
from oodlib.errors import OodlibError
from oodlib.guard.rows import Rows

FORMATS = ("table", "json", "csv", "html")
NAMED = {".json": "json", ".csv": "csv", ".html": "html", ".htm": "html", ".txt": "table", "": "table"}
_NUMBERS = ("line", "score", "threshold", "margin", "cosine", "fit")
_COLOURS = {"in": "green", "out": "red", "unreadable": "yellow"}


def format_of(asked: str | None, output: Path | None) -> str:
    """The format by name; without one that of the file's suffix, else "table".

    Raises
    ------
    OodlibError
        If there is no such format, or the file's suffix is that of another one or, alone, of none.
    """
    suffix = output.suffix.lower() if output else ""
    named = NAMED.get(suffix)
    chosen = asked or named
    if chosen is None:
        raise OodlibError(
            f"the name of {output} says no format that can be written: choose another ending, one of "
            f"{', '.join(filter(None, NAMED))}, or pass --format"
        )
    if chosen not in FORMATS:
        raise OodlibError(f"there is no format {chosen!r}: choose one of {', '.join(FORMATS)}")
    if suffix not in (".txt", "") and named not in (None, chosen):
        raise OodlibError(
            f"--format {chosen} and the file {output} name two formats: leave --format out, or rename the file"
        )
    return chosen


def check_targets(*files: Path | None) -> None:
    """Refuse what cannot be written, or would take the place of a picture, before anything takes time."""
    for file in files:
        if file is None:
            continue
        if file.suffix.lower() in SUFFIXES:
            raise OodlibError(f"{file} is named like a picture: choose another name, such as results.csv")
        check_target(file)


def present(found: Rows, kind: str, output: Path | None) -> None:
    """Print results, or write it to a file: the whole file or none."""
    if kind == "table" and output is None:
        if out.is_terminal:
            out.print(_for_a_terminal(found))
        else:
            out.file.write(_plain(found))
        return
    text = {"json": _json, "csv": _csv, "html": _html, "table": _plain}[kind](found)
    if output is None:
        out.file.write(plain_lines(text) if out.is_terminal else text)
        return
    data = text.encode("utf-8", errors="backslashreplace")
    write_atomically(output, lambda path: path.write_bytes(data))


def safe(value: object) -> str:
    """A cell as text: numbers in four digits; in names, what could steer a terminal is written as its code."""
    if _missing(value):
        return ""
    said = f"{value:.4g}" if isinstance(value, float) else str(value)
    return plain(said)


def _missing(value: object) -> bool:
    """None, or not a number."""
    return value is None or value != value


def _for_a_terminal(found: Rows) -> Table:
    """What fits in one table: the common folder stands above, the threshold and the reasons below."""
    columns = [column for column in found.columns if column not in ("threshold", "margin", "needed", "reason")]
    folder = os.path.dirname(os.path.commonprefix([str(row["image"]) for row in found.rows]))  # noqa: PTH120, RUF071 (of letters)
    score = "score" if "score" in found.columns else "cosine"
    bad = [row for row in found.rows if _missing(row[score]) or row.get("decision") == "unreadable"]
    reasons = "\n".join(f"{safe(row['image'])}: {safe(row['reason'])}" for row in bad)
    shown = Table(title=Text(safe(folder)) if folder else None, caption=Text(reasons) if reasons else None)
    shown.title_justify = shown.caption_justify = "left"
    for column in columns:
        number = column in _NUMBERS
        title = column.replace("_", " ")
        shown.add_column(title, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for row in found.rows:
        name = str(row["image"])[len(folder) :].lstrip(os.sep) if folder else row["image"]
        cells = (Text(safe(name if column == "image" else row[column])) for column in columns)
        shown.add_row(*cells, style=_COLOURS.get(str(row.get("decision"))))
    return shown


def _plain(found: Rows) -> str:
    """Columns padded to one width, a line a row, whatever the width of the window."""
    lines = [[column.replace("_", " ") for column in found.columns]]
    lines += [[safe(cell) for cell in row.values()] for row in found.rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)


def _json(found: Rows) -> str:
    rows = [{key: None if _missing(value) else value for key, value in row.items()} for row in found.rows]
    return json.dumps(found.about | {"images": rows}, indent=1) + "\n"


def _csv(found: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.columns)
    writer.writerows(["" if _missing(value) else value for value in row.values()] for row in found.rows)
    return text.getvalue().encode("utf-8", errors="backslashreplace").decode()


def _html(found: Rows) -> str:
    from oodlib.cli.gallery import as_html

    return as_html(found.table())
