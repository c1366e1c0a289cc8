"""`oodlib data list | check | get`: which sets are here, what is wrong with them, and how to get them.

Only `get` downloads, and it asks first. Heavy imports wait until a command needs them, so that help comes at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.table import Column, Table

from oodlib.cli.console import app, command, notes, out
from oodlib.cli.text_data import check_texts, describe_texts, text_table
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    from oodlib.datasets.base import Manifest
    from oodlib.datasets.photo_cards import Archive, Card

EMOJI = "emojishift"
group = typer.Typer(
    help="The sets of pictures and texts: what is here, what is missing, how to get it.", no_args_is_help=True
)
app.add_typer(group, name="data")

RootOption = Annotated[
    Path | None,
    typer.Option("--root", help="folder of the photographs", show_default="OODLIB_DATA, else data in the cache folder"),
]


def list_sets(root: RootOption = None) -> None:
    """Say of every set what it is for, how much of it is here, and how large the download is: a line each."""
    from oodlib.datasets import emojishift, photos
    from oodlib.datasets.examination import survey

    place = root or photos.data_root()
    columns = [Column(name, no_wrap=True) for name in ("set", "for", "here", "pictures", "of", "download")]
    for numbers in columns[3:5]:
        numbers.justify = "right"
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 1, 0, 0))  # 80 columns hold the longest of everything
    try:
        drawn = (emojishift.folder() / "manifest.csv").exists()
    except OodlibError:  # without the npm packages, which name its folder
        drawn = False
    count = f"{len(emojishift.load()):,}" if drawn else "0"
    table.add_row(EMOJI, "pocket", "complete" if drawn else "not drawn", count, "", "none")
    for name in photos.names():
        card, (state, _) = photos.card(name), survey(name, place)
        size = f"as {card.parent}" if card.parent else _size(card.download_bytes, unknown="?")
        if card.about and not card.parent and not card.download_bytes:
            size = f"~{_size(card.about)}"
        expected = "" if state.word == "sample" else _number(state.expected, unknown="?")
        use = card.use.removesuffix(" OOD").removesuffix(" ID")
        table.add_row(name, use, state.word, f"{state.found:,}", expected, size)
    out.print(table)
    out.print("?: not verified; ~: as others have packed it; as NAME: part of that set")
    out.print("far, near, hard, spurious: OOD sets")
    out.print(text_table(place))
    kind = ", a made-up sample" if photos.is_sample(place) else ""
    out.print(f"photographs and texts are looked for in {place}{kind}", soft_wrap=True, markup=False)
    out.print("OODLIB_DATA or --root names another folder; to get a set: oodlib data get NAME")


def check(
    names: Annotated[list[str] | None, typer.Argument(help="which sets", show_default="all that are here")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="decode every picture")] = False,
    root: RootOption = None,
) -> None:
    """Look whether sets are all there; each problem comes with its remedy. Exit code 1 if there is one."""
    from oodlib.datasets import paper_texts, photos
    from oodlib.datasets.examination import NOT_THERE

    place = root or photos.data_root()
    problems = 0
    for name in names or (*photos.names(), *paper_texts.SETS):
        if name in paper_texts.SETS:
            if names or (place / paper_texts.SETS[name].place).exists():
                problems += check_texts(name, place)
            continue
        state = photos.examine(name, place, deep=deep)
        if not names and state.word == NOT_THERE:
            continue
        of = f" of {state.expected:,}" if state.expected is not None else ""
        out.print(f"{name}: {state.word}, {state.found:,}{of} pictures, {_size(state.bytes)}", markup=False)
        for problem in state.problems:
            out.print(f"  {problem}", markup=False, soft_wrap=True)
        problems += len(state.problems)
    out.print(
        f"looked in {place}: {problems or 'no'} problem{'' if problems == 1 else 's'}", markup=False, soft_wrap=True
    )
    if problems:
        raise typer.Exit(1)


def get(
    name: Annotated[str, typer.Argument(help="a set, as `oodlib data list` names it")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask before downloading")] = False,
    root: RootOption = None,
) -> None:
    """Say where a set comes from and how large it is, ask, and fetch it; or say how to fetch it by hand.

    An interrupted download goes on where it stopped. emojishift is drawn, and nothing is downloaded for it.
    """
    if name == EMOJI:
        if root is not None:
            raise OodlibError(f"{EMOJI} is drawn into the cache folder: leave --root out, or set OODLIB_HOME")
        _draw()
        return
    from oodlib.datasets import paper_texts, photos

    place = root or photos.data_root()
    if name in paper_texts.SETS:
        if not describe_texts(name, place):
            raise typer.Exit(1)
        return
    _get_photos(photos.card(name), place, yes=yes)


command(list_sets, group, name="list")
command(check, group)
command(get, group)


def emoji_pictures() -> Manifest:
    """EmojiShift, with a word of warning where it has to be drawn first."""
    from oodlib.datasets import emojishift

    if not (emojishift.folder() / "manifest.csv").exists():
        notes.print("drawing about 8,400 pictures, once; on two cores this takes one to two minutes")
    return emojishift.load()


def _get_photos(card: Card, place: Path, *, yes: bool) -> None:
    from oodlib.datasets import photos
    from oodlib.datasets.fetch import fetch

    state = photos.examine(card.name, place)
    if state.fine:
        out.print(
            f"{card.name} is here: {state.word}, {state.found:,} pictures in {place}", markup=False, soft_wrap=True
        )
        return
    _describe(card, place)
    if not card.fetchable:
        raise typer.Exit(1)
    if not yes:
        typer.confirm("Download it?", abort=True)

    def heard(archive: Archive, got: int, total: int | None) -> None:
        if notes.is_terminal:
            notes.print(f"{archive.file}: {_size(got)} of {_size(total)}  ", end="\r", markup=False)

    fetch(card, place, heard=heard, notify=lambda sentence: notes.print(sentence, markup=False))
    state = photos.examine(card.name, place)
    out.print(f"{card.name}: {state.word}, {state.found:,} pictures, {_size(state.bytes)}", markup=False)
    for problem in state.problems:
        out.print(f"  {problem}", markup=False, soft_wrap=True)
    if state.problems:
        raise typer.Exit(1)


def _draw() -> None:
    """Draw EmojiShift's pictures (once) and say what is there."""
    from oodlib.datasets import emojishift

    manifest = emoji_pictures()
    table = Table("hand", "split", "pictures", "concepts")
    for (hand, split), rows in manifest.table.groupby(["hand", "split"], sort=False):
        table.add_row(str(hand), str(split), f"{len(rows):,}", f"{rows['concept'].nunique():,}")
    out.print(table)
    out.print(f"{len(manifest):,} pictures; {len(emojishift.dropped())} exact copies were left out")
    out.print(f"manifest {manifest.digest}\nfolder   {manifest.root}", soft_wrap=True)


def _describe(card: Card, place: Path) -> None:
    """The card, in a screen: what it is, under which terms, from where, how large, and where it goes."""
    lines = [
        f"{card.title}: {_number(card.pictures)} pictures; {card.shows}",
        f"from     {card.source.paper}; {card.source.page}",
        f"licence  {card.licence or 'not verified'}",
    ]
    if card.parent:
        lines.append(f"part of  {card.parent}, which comes as a whole")
    for archive in card.archives:
        checksum = archive.checksum.replace(":", " ") if archive.checksum else "checksum not verified"
        size = _size(archive.bytes, unknown="size not verified")
        lines.append(f"file     {archive.address or archive.file}, {size}, {checksum}")
    if card.about:
        lines.append(f"size     about {_size(card.about)} in another packing")
    lines += [f"note     {note}" for note in card.contamination]
    if card.by_hand:
        lines.append("It has to be fetched by hand:")
        lines += [f"  {number}. {step}" for number, step in enumerate(card.by_hand, 1)]
        lines.append(f"  {len(card.by_hand) + 1}. see what came of it: oodlib data check {card.name}")
    folder = card.landing.to if card.fetchable and card.landing else card.layout.folder
    lines.append(f"into     {place / folder}")
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def _size(count: int | None, unknown: str = "not verified") -> str:
    return unknown if count is None else decimal(count)


def _number(count: int | None, unknown: str = "not verified") -> str:
    return unknown if count is None else f"{count:,}"
