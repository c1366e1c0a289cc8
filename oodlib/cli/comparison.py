"""What the comparisons of two folders share: a table for a person or a program, and the map of the pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from oodlib.cli.console import note, out
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    import pandas as pd

    from oodlib.guard.compare import Comparison
    from oodlib.guard.unlabelled import Ranking

MAP = ("map.csv", "map.parquet", "map.png")


def show(table: pd.DataFrame, lines: list[tuple[str, ...]], kind: str) -> None:
    """Print a table: its `lines` aligned for a person, or the numbers themselves."""
    if kind == "csv":
        out.file.write(table.to_csv(index=False, lineterminator="\n"))
    elif kind == "json":
        # what is not known is null: JSON has no NaN
        known = table.astype(object).where(table.notna(), None)
        out.file.write(json.dumps(known.to_dict("records"), indent=1) + "\n")
    else:
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        out.file.write("".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines))


def draw(found: Comparison | Ranking, folder: Path) -> None:
    """Write coordinates and map: each file whole or not at all, and no map where there can be none."""
    from oodlib.cache import write_atomically
    from oodlib.report.projection import coordinates, draw_map

    try:
        x, y = coordinates(found.features).T
    except OodlibError as error:
        note(f"the map is left out: {error}")
        for name in MAP:  # that of an earlier run is of other pictures
            (folder / name).unlink(missing_ok=True)
        return
    table = found.pictures.assign(x=x, y=y)
    write_atomically(folder / MAP[0], lambda path: table.to_csv(path, index=False, lineterminator="\n"))
    write_atomically(folder / MAP[1], lambda path: table.to_parquet(path, index=False))
    write_atomically(folder / MAP[2], lambda path: draw_map(table).savefig(path, dpi=160))
