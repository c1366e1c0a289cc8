"""What a run on photographs needs, looked at before it starts: what to get, from where, how large, on one screen."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from oodlib.datasets import photos
from oodlib.errors import OodlibError
from oodlib.profile_parts import EncoderChoice
from oodlib.profiles import Profile
from oodlib.weights import download_of, weights_here


@dataclass(frozen=True)
class Need:
    """One thing that a run reads.

    Parameters
    ----------
    what : str
        The set or the weights.
    state : str
        What is there.
    fine : bool
        Whether it can be used.
    needed : bool
        Whether the pages cannot be made without it; the others only fill cells of the papers' tables.
    get : str
        How to get it, where it is not there; with its size as far as that is known.
    """

    what: str
    state: str
    fine: bool
    needed: bool
    get: str


def needs(run: Profile) -> list[Need]:
    """Every set of photographs and all weights that a profile names, those that the pages need first."""
    chosen = run.photos
    if chosen is None:
        return []
    of_pages = [*chosen.sets, *(name for kinds in chosen.sets.values() for sets in kinds.values() for name in sets)]
    of_tables = [name for protocol in run.protocols.values() for pair in protocol.pairs for name in (pair[0], pair[2])]
    if any(protocol.tuning for protocol in run.protocols.values()):
        of_tables.append("imagenet-1k-train")
    required = set(of_pages) - set(chosen.optional)
    homes: dict[str, list[str]] = {}  # parts of a set come with the whole
    for name in dict.fromkeys(of_pages + of_tables):
        homes.setdefault(photos.card(name).home, []).append(name)
    found = [_set(home, parts, run, bool(required & set(parts))) for home, parts in homes.items()]
    models = {choice.label: choice for choice in [run.encoder, *run.encoders.values()]}
    found += [_weights(choice, label == run.encoder.label) for label, choice in models.items()]
    return sorted(found, key=lambda need: not need.needed)


def _set(home: str, parts: list[str], run: Profile, needed: bool) -> Need:
    states = [photos.examine(name, run.photo_root) for name in parts]
    bad = next((state for state in states if not state.fine), None)
    card = photos.card(home)
    size = f"{card.download_bytes / 1e9:.2f} GB" if card.download_bytes else "size not verified"
    how = (
        f"oodlib data get {home}"
        if card.fetchable
        else f"by hand ({card.source.page}): oodlib data get {home} says how"
    )
    word = bad.word if bad else states[0].word
    fine = bad is None or (run.is_sample and all(state.found for state in states))
    return Need(home, word, fine, needed, f"{how}, {size}")


def _weights(choice: EncoderChoice, needed: bool) -> Need:
    tag = choice.pretrained or ""
    here = weights_here(choice.name, choice.pretrained)
    get = "" if here else f"fetched at first use: {download_of(choice.name, tag)}"
    return Need(f"weights {choice.label}", "there" if here else "not there", here, needed, get)


def check(run: Profile, out: Console) -> None:
    """Say what is missing; go on only if all that the pages need is there, or can be fetched without being asked.

    Raises
    ------
    OodlibError
        If a set that the pages need is not there, or not what it should be.
    """
    listed = needs(run)
    missing = [need for need in listed if not need.fine]
    where = f"{run.photo_root} (another folder: {run.photos.root if run.photos else ''})"
    if run.is_sample:
        out.print(f"made-up pictures in {run.photo_root}: small settings, random weights, numbers that mean nothing")
    if not missing:
        return
    table = Table("what", "for", "state", "how to get it")
    for need in missing:
        table.add_row(need.what, "every page" if need.needed else "some tables", need.state, need.get)
    out.print(table)
    lacking = [need.what for need in missing if need.needed and not need.what.startswith("weights ")]
    if lacking:
        raise OodlibError(
            f"the profile {run.name} needs {', '.join(lacking)} in {where}: get them as the table says, or try "
            "everything on made-up pictures (python tools/sample_tree.py FOLDER)"
        )
    out.print("what is missing is left out of the tables, and they say so")
