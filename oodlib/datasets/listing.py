"""Files as plain rows: what a store of features asks of a manifest, without the seconds that a table library takes."""

from __future__ import annotations

import hashlib
import json
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

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of each file."""
        return [row.sha256 for row in self.rows]

    def paths(self) -> list[Path]:
        """Where the pictures lie."""
        return [self.root / row.uri for row in self.rows]


def digest_of(name: str, rows: list[list[str]]) -> str:
    """SHA-256 over a name and the rows that identify pictures."""
    return hashlib.sha256(json.dumps([name, rows], ensure_ascii=True).encode()).hexdigest()
