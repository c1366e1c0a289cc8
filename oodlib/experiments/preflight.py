"""What a run on photographs needs, looked at before it starts: what to get, from where, how large, on one screen."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table

from oodlib.datasets import photos
from oodlib.encoders.papers import paper_encoder
from oodlib.encoders.weights import weights_here
from oodlib.errors import OodlibError
from oodlib.experiments.profile_parts import TIMM, EncoderChoice
from oodlib.experiments.profiles import Profile


@dataclass(frozen=True)
class Need:
    """One thing that a run reads.

    Parameters
    ----------
    what : str
        The set of photographs, or the model and its weights.
    state : str
        What is there.
    fine : bool
        Whether it can be used.
    needed : bool
        Whether the pages cannot be made without it, or read it because it is there; the others only fill cells of the
        papers' tables.
    size : str
        Of the download; where that is not known, how many pictures there are.
    source : str
        The host that has it.
    how : str
        "get" or "check", a verb of `oodlib data`; empty where there is nothing to do.
    """

    what: str
    state: str
    fine: bool
    needed: bool
    size: str
    source: str
    how: str


def needs(run: Profile) -> list[Need]:
    """Every set of photographs and all weights that a profile names, those that the pages need first."""
    chosen = run.photos
    if chosen is None:
        return []
    of_pages = [*chosen.sets, *(name for kinds in chosen.sets.values() for sets in kinds.values() for name in sets)]
    of_tables = [name for protocol in run.tables.values() for name in protocol.names_of_sets] + run.teachers
    # What is there is read by the pages, even if they could do without it, and must be as it should be.
    left_out = {name for name in chosen.optional if not photos.examine(name, run.photo_root).found}
    required = set(of_pages) - left_out
    homes: dict[str, list[str]] = {}  # parts of a set come with the whole
    for name in dict.fromkeys(of_pages + of_tables):
        homes.setdefault(photos.card(name).home, []).append(name)
    found = [_set(home, parts, run, bool(required & set(parts))) for home, parts in homes.items()]
    models = {choice.label: (label, choice) for label, choice in {"": run.encoder, **run.encoders}.items()}
    found += [_weights(label, choice, choice.label == run.encoder.label) for label, choice in models.values()]
    return sorted(found, key=lambda need: not need.needed)


def _set(home: str, parts: list[str], run: Profile, needed: bool) -> Need:
    states = [photos.examine(name, run.photo_root) for name in parts]
    bad = next((state for state in states if not state.fine), None)
    card = photos.card(home)
    address = next((archive.address for archive in card.archives if archive.address), card.source.page)
    how = "" if bad is None else "get" if bad.word == "not there" else "check"
    word = bad.word if bad else states[0].word
    size = f"{card.pictures:,} pictures" if card.pictures else ""
    if known := card.download_bytes or card.about:
        size = ("" if card.download_bytes else "about ") + decimal(known)
    return Need(home, word, bad is None, needed, size, urlsplit(address).netloc.removeprefix("www."), how)


def _weights(label: str, choice: EncoderChoice, needed: bool) -> Need:
    known = paper_encoder(choice.name, choice.pretrained)
    here = weights_here(choice.name, choice.pretrained)
    size = decimal(known.bytes) if known else ""
    called = f"{label} (timm)" if choice.name.startswith(TIMM) else choice.label  # a tag of timm's fills half a line
    return Need(called, "there" if here else "not there", here, needed, size, "huggingface.co", "")


def check(run: Profile, out: Console) -> None:
    """Say what is missing; go on only if the sets that the pages need are there.

    Raises
    ------
    OodlibError
        If a set that the pages need is not there, or not what it should be.
    """
    root = run.photo_root
    if run.is_sample:
        note = f"made-up pictures in {root}: small settings, random weights, numbers that mean nothing"
        out.print(note, markup=False, soft_wrap=True)
    missing = [need for need in needs(run) if not need.fine]
    for needed, title in ((True, "needed by every page:"), (False, "needed by some tables, which say so without it:")):
        part = [need for need in missing if need.needed is needed]
        if part:
            columns = (Column(name, no_wrap=True) for name in ("what", "state", "size", "from"))
            table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
            for need in part:
                table.add_row(need.what, need.state, need.size, need.source)
            out.print(title)
            out.print(table)
    if any(need.how for need in missing):
        out.print("get a set, or read how: oodlib data get NAME; weights come at first use")
    if any(need.how == "check" for need in missing):
        out.print("see what is wrong with a set that is there: oodlib data check NAME")
    lacking = [need.what for need in missing if need.needed and need.how]
    if lacking:
        variable = run.photos.root if run.photos else ""
        raise OodlibError(
            f"{', '.join(lacking)} cannot be read in {root}: get them as the list says, or set {variable} to the "
            "folder that has them; made-up pictures to try with come from: python tools/sample_tree.py FOLDER"
        )
