"""The files of a store of features: shards of so many rows each, and an index once all are there.

Every file is written in one step, so a kill at any moment leaves whole shards only. A shard holds the features of its
pictures, the reasons of those that could not be read, its own name, and the hash of all that, which is compared when
the shard is read: opening a store of millions of rows reads none of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from oodlib.cache import SEALED, load_sealed, save_sealed, write_text
from oodlib.errors import DamagedError

SHARD_ROWS = 512  # a kill loses at most so many a worker
INDEX = "index.json"

Encoded = tuple[np.ndarray, dict[int, str]]  # features (n, D), and the reasons of the other pictures by their place


class Shard(NamedTuple):
    """One file of a store, and the rows of the manifest that it is for."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Store:
    """A folder of shards for `rows` pictures."""

    folder: Path
    rows: int

    def shards(self) -> list[Shard]:
        """All shards, in order."""
        starts = range(0, self.rows, SHARD_ROWS)
        return [
            Shard(f"shard-{number:05d}.safetensors", start, min(start + SHARD_ROWS, self.rows))
            for number, start in enumerate(starts)
        ]

    def missing(self) -> list[Shard]:
        """Shards that are not there or not whole, in order; only their heads are read."""
        return [shard for shard in self.shards() if not self._whole(shard)]

    def write(self, name: str, features: np.ndarray, bad: Mapping[int, str]) -> None:
        """Keep one shard."""
        save_sealed(self.folder / name, {"features": features}, {"of": self._called(name), "bad": bad})

    def close(self, facts: Mapping[str, Any]) -> None:
        """Write the index, which says that all shards are there, and `facts` for people."""
        write_text(self.folder / INDEX, json.dumps({**facts, "rows": self.rows}, indent=1, sort_keys=True))

    def clean(self) -> None:
        """Delete temporary files of a killed run; nobody else may be writing."""
        for leftover in self.folder.glob(".shard-*"):
            leftover.unlink()

    def complete(self) -> bool:
        """Whether all shards have been written; what they hold is looked at when they are read."""
        return (self.folder / INDEX).exists()

    def discard_damaged(self) -> None:
        """Read every shard, and delete those that are damaged and the index, so that they are made again."""
        for shard in self.shards():
            try:
                self.load(shard)
            except DamagedError:
                (self.folder / shard.name).unlink(missing_ok=True)
        (self.folder / INDEX).unlink(missing_ok=True)

    def read(self, fleeting: Mapping[str, Encoded]) -> Encoded:
        """Features (n, D) of all pictures that could be read, and the reasons of the others by their row.

        `fleeting` holds what is used instead of the files of some shards, by their names.

        Raises
        ------
        DamagedError
            If a shard is missing, or not what was written.
        """
        features, row = np.empty((0, 0), np.float32), 0
        bad: dict[int, str] = {}
        for shard in self.shards():
            found, reasons = fleeting.get(shard.name) or self.load(shard)
            bad |= {shard.start + place: reason for place, reason in reasons.items()}
            if len(found):
                if not row:  # one block for all, so that the features are never in memory twice
                    features = np.empty((self.rows, found.shape[1]), np.float32)
                features[row : row + len(found)] = found
                row += len(found)
        return (features if row == self.rows else features[:row].copy()), bad

    def load(self, shard: Shard) -> Encoded:
        """Features and reasons of one shard; no other is touched.

        Raises
        ------
        DamagedError
            If it is missing, not what was written, or another shard under its name.
        """
        path = self.folder / shard.name
        try:
            arrays, about = load_sealed(path)
        except OSError as error:
            raise DamagedError(f"{path} cannot be read ({error.strerror or error}): delete it") from None
        if about.get("of") != self._called(shard.name):
            raise DamagedError(f"{path} is damaged (it belongs elsewhere): delete it")
        return arrays["features"], _reasons(about)

    def _called(self, name: str) -> str:
        """What a shard says it is: one that was copied to another place says something else."""
        return f"{self.folder.name}/{name} of {self.rows}"

    def _whole(self, shard: Shard) -> bool:
        """Whether a shard left by an earlier run can be kept; only its head is read."""
        try:
            with safe_open(self.folder / shard.name, framework="np") as file:
                rows: int = file.get_slice("features").get_shape()[0]
                about = json.loads(json.loads((file.metadata() or {})[SEALED])[0])
            same = about.get("of") == self._called(shard.name)
            return same and rows + len(_reasons(about)) == shard.stop - shard.start
        except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError):
            return False


def _reasons(about: Mapping[str, Any]) -> dict[int, str]:
    return {int(place): reason for place, reason in about["bad"].items()}
