"""Which classes a set of photographs has, and what they are called in the two traditions of the papers.

`class_lists.json` holds the lists, each with its source. A class id is a wnid or the name of a class folder.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from oodlib.cache import check_source
from oodlib.datasets.photo_cards import card
from oodlib.errors import OodlibError

FILE = Path(__file__).with_name("class_lists.json")
SAMPLE = "SAMPLE.json"
NAMINGS = ("clean", "openai")


@cache
def _content() -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OodlibError(f"{FILE.name} is damaged: restore it with git, or install oodlib again") from error
    return content


def listed(name: str) -> tuple[str, ...]:
    """The ids of a list in `class_lists.json`, sorted."""
    return tuple(_content()["lists"][name]["ids"])


def sample(root: Path) -> dict[str, Any] | None:
    """What SAMPLE.json says at the top of a made-up tree; None where there is no such file.

    Raises
    ------
    OodlibError
        If the file is there and cannot be read.
    """
    path = Path(root) / SAMPLE
    if not path.exists():
        return None
    check_source(path)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["sample"] is True and isinstance(content["classes"], list) and isinstance(content["others"], dict):
            return content
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    raise OodlibError(f"{path} is damaged: make the sample again with tools/sample_tree.py")


def class_ids(name: str, root: Path | None = None) -> tuple[str, ...]:
    """Ids of a set's classes, sorted; none for a set without a fixed list.

    Parameters
    ----------
    name : str
        Name of the set.
    root : Path, optional
        A data root. Where it is a made-up sample, only the classes that the sample has are given.
    """
    chosen = card(name)
    if chosen.classes is None:
        return ()
    ids = listed(chosen.classes)
    if chosen.rest and chosen.parent:
        ids = tuple(sorted(set(class_ids(chosen.parent)) - set(ids)))
    facts = sample(root) if root is not None else None
    if facts is None:
        return ids
    there = set(facts["classes"]).union(*facts["others"].values())
    return tuple(identity for identity in ids if identity in there)


def class_names(name: str, naming: str = "clean") -> tuple[str, ...]:
    """What the classes of `class_ids` are called, in the same order.

    Parameters
    ----------
    name : str
        Name of the set.
    naming : str
        For ImageNet's sets "clean" (as in MCM and EOE) or "openai" (as in NegLabel, CSP, CLIPN and OLE). Other sets
        have one naming.

    Raises
    ------
    OodlibError
        If the naming is unknown, or the set has no fixed list of classes.
    """
    if naming not in NAMINGS:
        raise OodlibError(f"there is no naming {naming!r} of classes: choose clean or openai")
    ids = class_ids(name)
    if not ids:
        raise OodlibError(f"{name} has no list of class names: take the labels of its manifest")
    called = names_of(name, naming)
    return tuple(called.get(identity) or readable(identity) for identity in ids)


@cache
def names_of(name: str, naming: str) -> dict[str, str]:
    """The names of a set's classes by id, where they are more than the id made readable."""
    chosen = card(name)
    if not (chosen.classes or "").startswith("imagenet"):
        return {}
    names = _content()["names"]
    own = names.get(chosen.classes, {})
    if naming in own:
        return dict(zip(listed(chosen.classes or ""), own[naming]["names"], strict=True))
    return dict(zip(listed("imagenet-1k"), names["imagenet-1k"][naming]["names"], strict=True))


def readable(identity: str) -> str:
    """A class folder's name as words.

    >>> readable("002.Laysan_Albatross"), readable("prime_rib"), readable("n01440764")
    ('Laysan Albatross', 'prime rib', 'n01440764')
    """
    return re.sub(r"^\d{3}\.", "", identity).replace("_", " ")
