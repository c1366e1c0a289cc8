"""What `oodlib compare --unlabelled` prints: detectors ranked without labels, and how far to trust that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oodlib.cli.comparison import draw, show
from oodlib.cli.console import note, notes
from oodlib.guard.unlabelled import Ranking, rank


def report(inside: Path, mixed: Path, encoder: str, asked: dict[str, Any], kind: str, output: Path | None) -> None:
    """Rank the detectors on two folders, print the table and its sentences, and write what `output` is to hold."""
    found = rank(inside, mixed, encoder, **asked)
    for sentence in found.notes:
        note(sentence)
    show(found.table, _cells(found), kind)
    if output is not None:
        from oodlib.cache import write_text

        write_text(output / "unlabelled.csv", found.table.to_csv(index=False, lineterminator="\n"))
        draw(found, output)
    for sentence in _trust(found):
        notes.print(sentence, markup=False)


def _cells(found: Ranking) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [("detector", "estimated AUROC (%)", "")]
    for row in found.table.to_dict("records"):
        known = "unknown" if row["auroc"] != row["auroc"] else f"{100 * row['auroc']:.1f}"
        interval = f"{known} [{100 * row['auroc_low']:.1f}, {100 * row['auroc_high']:.1f}]"
        lines.append((row["detector"], interval, "see below" if row["warnings"] else ""))
    return lines


def _trust(found: Ranking) -> list[str]:
    """How many are out, and what speaks against all of this."""
    n = int((found.pictures["set"] == "outside").sum())
    if found.share_low == 0:
        said = [f"no detector tells these {n} pictures from those inside, so the order says nothing"]
    else:
        about, least = (f"{100 * share:.0f} %" for share in (found.share, found.share_low))
        said = [f"of {n} pictures without labels about {about} are out, and at least {least} (95 % sure)"]
    for warning in dict.fromkeys(row for row in found.table["warnings"] if row):
        named = found.table.loc[found.table["warnings"] == warning, "detector"].tolist()
        some = ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
        said.append(f"{some}: {warning}")
    return [*said, "this is an estimate, not a test: your classes must look alike in both folders"]
