"""Files as plain rows: what a store of features asks of a manifest, without the seconds that a table library takes.

A file's name is bytes, and need not be UTF-8. Python then has characters in it that no table, JSON or terminal takes,
so that one such name would end the work on all the others: rows hold names in a spelling that can be written.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """A picture; the first five fields are the required columns of a `Manifest`."""

    id: str
    uri: str
    label: str
    split: str
    sha256: str
    shown: str


class Listed(NamedTuple):
    """A picture file and what its list says of the content: whoever decodes it decodes that, or nothing.

    Where a picture was drawn from the source that `sha256` is of, `pixels` is the hash of its RGB pixels; else it is
    empty, and `sha256` is that of the file.
    """

    path: Path
    sha256: str
    pixels: str = ""


@dataclass(frozen=True)
class Listing:
    """The pictures of a person, each once; `Manifest` explains `name` and `root`."""

    name: str
    root: Path
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def digest(self) -> str:
        """That of the manifest with these rows."""
        return digest_of(self.name, [list(row[:5]) for row in self.rows])

    @property
    def ids(self) -> list[str]:
        """The id of each picture."""
        return [row.id for row in self.rows]

    def paths(self) -> list[Path]:
        """Where the pictures lie."""
        return [self.root / as_named(row.uri) for row in self.rows]

    def files(self) -> list[Listed]:
        """The files with what they hold."""
        return [Listed(path, row.sha256) for path, row in zip(self.paths(), self.rows, strict=True)]


def digest_of(name: str, rows: list[list[str]]) -> str:
    """SHA-256 over a name and the rows that identify pictures."""
    return hashlib.sha256(json.dumps([name, rows], ensure_ascii=True).encode()).hexdigest()


def legible(name: str) -> str:
    r"""A file's name with bytes that are not UTF-8 written as codes; other names stay as they are.

    >>> legible("caf\udce9.png")
    'caf\\udce9.png'
    """
    return name.encode(errors="backslashreplace").decode()


def as_named(name: str) -> str:
    """What `legible` made of a file's name, as the disk has it: that of a file which can be opened."""
    if "\\udc" not in name:
        return name
    return re.sub(r"\\udc([89a-f][0-9a-f])", lambda code: chr(int(f"dc{code[1]}", 16)), name)
