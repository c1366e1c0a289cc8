"""Data cards of the sets of photographs: one YAML file a set in `cards/`, checked when it is read.

A fact that could not be verified is null in the file and reads "not verified" wherever it is shown.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from oodlib.errors import OodlibError

FOLDER = Path(__file__).parent / "cards"
NOT_VERIFIED = "not verified"
Use = Literal["ID", "far OOD", "near OOD", "hard OOD", "spurious OOD", "few-shot ID", "source"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Archive(_Part):
    """A file that a set comes in.

    `address` is null where a person has to fetch the file by hand. `checksum` is written as `md5:...` or `sha256:...`;
    `inside` is the folder that its content belongs in (for sets that come in several files).
    """

    file: str
    address: str | None
    bytes: int | None = Field(gt=0)
    checksum: str | None = Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")
    inside: str = ""


class Layout(_Part):
    """How the pictures lie below the data root, and which function of `oodlib.datasets.layouts` lists them.

    `folder` holds the pictures, `lists` the files that say what belongs to the set. `per_class` is the number of
    pictures of each class, where that is the same for all.
    """

    kind: Literal["class_folders", "flat", "tree", "cub", "cars", "food", "pets", "waterbirds"]
    folder: str
    lists: tuple[str, ...] = ()
    per_class: int | None = None


class Landing(_Part):
    """What becomes of the unpacked files.

    `take` is the folder inside the archive that is moved to `to` below the data root ("" all of it, "*" the innermost
    folder that is alone). `export` names the reader of `oodlib.datasets.exports` for sets that come as arrays.
    """

    to: str
    take: str = ""
    export: Literal["cifar10", "cifar100", "svhn", "mnist"] | None = None


class Source(_Part):
    """Who made the set: a key of the book's bibliography where there is one, the paper in words, and its page."""

    key: str | None = None
    paper: str
    page: str


class Card(_Part):
    """What is known of one set.

    `parent` names the set that it is a part of, `classes` its list in `class_lists.json`, and `rest` says that it holds
    the parent's classes that are *not* in that list. The archives' sizes are in bytes. So is `about`: the same pictures
    as somebody else packed them, given where an archive's own size is not verified.
    """

    name: str
    title: str
    shows: str
    use: Use
    source: Source
    licence: str | None
    pictures: int | None
    about: int | None = Field(None, gt=0)
    archives: tuple[Archive, ...]
    landing: Landing | None = None
    by_hand: tuple[str, ...] = ()
    layout: Layout
    split: str
    parent: str | None = None
    classes: str | None = None
    rest: bool = False
    contamination: tuple[str, ...]
    facts: tuple[str, ...]

    @model_validator(mode="after")
    def _can_be_had(self) -> Card:
        fetchable = all(archive.address for archive in self.archives)
        if not fetchable and not self.by_hand:
            raise ValueError("an archive without an address needs steps under by_hand")
        if fetchable and self.archives and self.landing is None:
            raise ValueError("archives that can be downloaded need a landing")
        return self

    @property
    def fetchable(self) -> bool:
        """Whether `oodlib data get` can download it."""
        return bool(self.archives) and all(archive.address for archive in self.archives)

    @property
    def download_bytes(self) -> int | None:
        """Bytes of all its archives; None where one of them is not verified."""
        sizes = [archive.bytes for archive in self.archives]
        return None if not sizes or None in sizes else sum(size for size in sizes if size)

    @property
    def home(self) -> str:
        """The set that its files belong to: its parent's name, or its own."""
        return self.parent or self.name


@cache
def names() -> tuple[str, ...]:
    """All sets that have a card, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def card(name: str) -> Card:
    """The card of a set; a part of a set has what its own file leaves out from its parent's.

    Raises
    ------
    OodlibError
        If there is no such set, or its file is not what it must be.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {close[0]}?" if close else f"choose one of {', '.join(names())}"
        raise OodlibError(f"there is no set {name!r} of photographs: {hint}")
    try:
        content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        if parent := content.get("parent"):
            above = card(parent).model_dump(exclude={"parent", "classes", "rest", "pictures", "about", "by_hand"})
            content = {**above, "by_hand": card(parent).by_hand, **content}
        return Card.model_validate(content)
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise OodlibError(f"the card of {name} is damaged ({error}): restore {name}.yaml with git") from error
