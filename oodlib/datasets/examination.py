"""Whether a set of photographs is all there, and what is wrong if it is not: every problem with its remedy."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from oodlib.datasets.class_lists import class_ids, sample
from oodlib.datasets.images import read_image
from oodlib.datasets.layouts import Listing, holds_pictures, list_pictures
from oodlib.datasets.photo_cards import Card, card
from oodlib.errors import OodlibError

LOOKED_AT = 200  # pictures whose first bytes are read where not every file is decoded
STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
COMPLETE, SAMPLE, NOT_THERE, PACKED, NOT_COMPLETE, DAMAGED = (
    *("complete", "sample", "not there"),
    *("still packed", "not complete", "damaged"),
)


@dataclass(frozen=True)
class State:
    """What is there of a set.

    Parameters
    ----------
    name : str
        Of the set.
    word : str
        "complete", "sample" (a made-up tree, whose counts are not asked for), "not there", "still packed",
        "not complete" or "damaged" (all files there, some of them no pictures).
    found : int
        Pictures that are there and belong to the set.
    expected : int or None
        Pictures of the whole set; None where it is a sample, or the number is not verified.
    bytes : int
        Size of the pictures that were found; 0 where only the files were listed.
    problems : tuple of str
        One sentence each, with the remedy.
    """

    name: str
    word: str
    found: int
    expected: int | None
    bytes: int
    problems: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Whether the set can be used as it is."""
        return not self.problems


def survey(name: str, root: Path) -> tuple[State, Listing]:
    """List a set and count it, without reading a picture."""
    chosen = card(name)
    is_sample = sample(root) is not None
    expected = None if is_sample else chosen.pictures
    folder = root / chosen.layout.folder
    if not folder.is_dir() or not any(folder.iterdir()):
        word, problem = _absent(chosen, root)
        return State(name, word, 0, expected, 0, (problem,)), Listing({})
    ids = class_ids(name, root)
    try:
        listing = list_pictures(chosen.layout, root, set(ids) if ids else None)
    except OodlibError as error:
        return State(name, NOT_COMPLETE, 0, expected, 0, (str(error),)), Listing({})
    problems = tuple(_list_problems(chosen, listing, ids, expected))
    word = NOT_COMPLETE if problems else SAMPLE if is_sample else COMPLETE
    return State(name, word, len(listing.pictures), expected, 0, problems), listing


def examine(name: str, root: Path, *, deep: bool = False) -> State:
    """Look at a set on disk.

    Parameters
    ----------
    name : str
        Of the set.
    root : Path
        The data root.
    deep : bool
        Decode every picture. Otherwise all sizes are looked at, and the first bytes of some hundred files.

    Raises
    ------
    OodlibError
        If there is no such set.
    """
    state, listing = survey(name, root)
    problems = list(state.problems)
    if listing.others:
        problems.append(
            f"{name}: {_count(listing.others, 'file')} among the pictures not named like a picture, such as "
            f"{listing.others[0]}: delete or move away what does not belong there"
        )
    uris = sorted(listing.pictures)
    sizes = [(root / uri).stat().st_size for uri in uris]
    if empty := [uri for uri, size in zip(uris, sizes, strict=True) if not size]:
        problems.append(f"{name}: {_count(empty, 'picture')} empty, such as {empty[0]}: unpack the set again")
    full = [uri for uri, size in zip(uris, sizes, strict=True) if size]
    problems += _content_problems(name, root, full, deep)
    word = DAMAGED if problems and state.fine else state.word
    return State(name, word, state.found, state.expected, sum(sizes), tuple(problems))


def _content_problems(name: str, root: Path, uris: Sequence[str], deep: bool) -> list[str]:
    if deep:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            reasons = pool.map(_why_bad, (root / uri for uri in uris))
            bad = [(uri, why) for uri, why in zip(uris, reasons, strict=True) if why]
        if not bad:
            return []
        return [
            (
                f"{name}: {_count(bad, 'file')} no picture or damaged, such as {bad[0][0]} ({bad[0][1]}): "
                "unpack the set again"
            )
        ]
    step = max(1, len(uris) // LOOKED_AT)
    strange = [uri for uri in uris[::step] if not _starts_like_a_picture(root / uri)]
    if not strange:
        return []
    return [
        (
            f"{name}: {_count(strange, 'file')} no picture inside (of {len(uris[::step]):,} looked at), such as "
            f"{strange[0]}: unpack the set again; `oodlib data check {name} --deep` finds all"
        )
    ]


def _list_problems(chosen: Card, listing: Listing, ids: Sequence[str], expected: int | None) -> list[str]:
    """What is wrong with the list of files, worst first."""
    name, layout, found = chosen.name, chosen.layout, listing.pictures
    if listing.astray and not found:
        return [_nesting(chosen, listing.astray)]
    problems = []
    if listing.missing:
        problems.append(
            f"{name}: {_count(listing.missing, 'picture')} missing that the set's own list names, such as "
            f"{listing.missing[0]}: unpack the set again"
        )
    per_class = Counter(found.values())
    if absent := [identity for identity in ids if not per_class[identity]]:
        named = ", ".join(absent[:5]) + (", ..." if len(absent) > 5 else "")
        problems.append(
            f"{name}: {len(absent):,} of {len(ids):,} classes missing from {layout.folder} ({named}): "
            "unpack the set again"
        )
    if listing.unknown and not chosen.parent:
        problems.append(
            f"{name}: {_count(listing.unknown, 'folder')} no class of the set, such as {listing.unknown[0]}: "
            "move them away"
        )
    if listing.astray:
        problems.append(_nesting(chosen, listing.astray))
    if expected is not None and len(found) != expected and not absent and not listing.missing:
        problems.append(_wrong_count(chosen, found, per_class, expected))
    return problems


def _wrong_count(chosen: Card, found: dict[str, str], per_class: Counter[str], expected: int) -> str:
    more = len(found) - expected
    said = f"{chosen.name}: {len(found):,} pictures in {chosen.layout.folder} where {expected:,} belong"
    size = chosen.layout.per_class
    odd = [identity for identity, count in sorted(per_class.items()) if identity and size and count != size]
    where = f" ({odd[0]} has {per_class[odd[0]]} of {size})" if odd else ""
    if more < 0:
        return f"{said}{where}, {-more:,} too few: unpack the set again"
    copies = [
        uri for uri in sorted(found) if any(sign in uri.lower() for sign in (" copy", "(1)", " - kopie", "_copy"))
    ]
    suspect = f", such as {copies[0]}" if copies else where
    return f"{said}, {more:,} too many: move away the extra files{suspect}"


def _nesting(chosen: Card, astray: Sequence[str]) -> str:
    """Where pictures at the wrong depth should be, in a sentence."""
    folder, name = chosen.layout.folder, chosen.name
    high = astray[0].count("/") == folder.count("/") + 1
    if high and chosen.home == "imagenet-1k" and Path(astray[0]).name.startswith("ILSVRC2012_val_"):
        return (
            f"{name}: {folder} is flat, with {len(astray):,} pictures as the archive unpacks: "
            f"move them into class folders; "
            f"`oodlib data get {name}` shows the command"
        )
    if high:
        many = _count(astray, "picture")
        return f"{name}: {many} directly in {folder}, such as {astray[0]}: move them into class folders"
    place = astray[0].rsplit("/", 1)[0]
    wanted = f"{folder}/CLASS" if chosen.layout.kind == "class_folders" else folder
    return f"{name}: {_count(astray, 'picture')} too deep, in folders such as {place}: move them up into {wanted}"


def _absent(chosen: Card, root: Path) -> tuple[str, str]:
    """Why there is nothing in the set's folder: still packed, elsewhere, spelt otherwise, or not there at all."""
    name, folder = chosen.name, chosen.layout.folder
    get = f"`oodlib data get {name}`"
    for archive in chosen.archives:
        for place in (root, root / archive.inside, root / folder.split("/")[0]):
            if (place / archive.file).is_file():
                does = f"{get} unpacks it" if chosen.fetchable and place == root else f"unpack it as {get} says"
                return PACKED, f"{name}: {place / archive.file} is still packed: {does}"
    parts = folder.split("/")
    deep = chosen.layout.kind == "class_folders"
    doubled, higher = (
        ("/".join((parts[0], *parts)), f"{folder}/{parts[-1]}"),
        ("/".join(parts[1:]), "/".join(parts[:-1])),
    )
    for other in (*doubled, *higher):
        if other and holds_pictures(root / other, deep):
            return NOT_COMPLETE, f"{name}: the pictures lie in {other} instead of {folder}: move that folder"
    place = root
    for part in parts:
        if not (place / part).is_dir() and place.is_dir():
            spelt = [entry.name for entry in place.iterdir() if entry.name.lower() == part.lower()]
            if spelt:
                return NOT_COMPLETE, f"{name}: {place / spelt[0]} must be spelt {part}: rename it"
        place /= part
    how = f"{get} fetches it" if chosen.fetchable else f"it has to be fetched by hand, {get} says how"
    return NOT_THERE, f"{name}: there is nothing in {root / folder}: {how}"


def _starts_like_a_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8).startswith(STARTS)


def _why_bad(path: Path) -> str:
    try:
        read_image(path)
    except OodlibError as error:
        return str(error).replace(str(path), "").strip(" :")
    return ""


def _count(things: Sequence[object], noun: str) -> str:
    return f"1 {noun} is" if len(things) == 1 else f"{len(things):,} {noun}s are"
