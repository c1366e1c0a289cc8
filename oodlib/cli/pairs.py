"""`oodlib detect --pairs`: pictures with their texts, from a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oodlib.cli.console import note, notes
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    from oodlib.datasets.pair_table import PairLine
    from oodlib.guard.guard import Guard
    from oodlib.guard.rows import Rows

Pairs = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        metavar="FILE.csv",
        help="pictures with texts: a CSV with the columns path and text. Says of each pair whether the picture is one "
        "of your classes and whether it is what its text says",
    ),
]


def lines_of(table: Path, paths: list[str] | None, shape: str) -> list[PairLine]:
    """The pairs of a table, or a refusal of what does not go with it, before a model is loaded."""
    from oodlib.datasets.pair_table import read_pairs

    if paths:
        raise OodlibError("pictures come from --pairs or from PATHS, not from both: choose one")
    if shape == "html":
        raise OodlibError("pairs are not written as HTML: choose table, json or csv")
    return read_pairs(table)


def judged(guard: Guard, lines: list[PairLine], table: Path) -> Rows:
    """Judge the pairs, and say what they have in common."""
    from oodlib.guard.pairs import pair_rows

    found = pair_rows(guard, lines, table.parent, progress=notes.is_terminal)
    if repeated := found.about["repeated"]:
        note(f"{repeated} line(s) of {table} repeat an earlier one, and get the same answer")
    return found


def summed_up(found: Rows) -> str:
    """What does not match, in a clause for the last line."""
    apart = sum(row["match"] == "no" for row in found.rows)
    return f"; {apart} text(s) do not match, which takes a fit of {found.about['needed']:g}"
