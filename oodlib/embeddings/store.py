"""The files of a store of features: shards of so many rows each, and an index with their hashes once all are there.

Every file is written in one step, so a kill at any moment leaves whole shards only. A shard holds the features of its
pictures and, of those that could not be read, the reasons.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from oodlib.cache import sha256_of, write_atomically, write_text

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
        """Shards that are not there or not whole, in order."""
        return [shard for shard in self.shards() if not self._whole(shard)]

    def write(self, name: str, features: np.ndarray, bad: Mapping[int, str]) -> None:
        """Keep one shard."""
        metadata = {"bad": json.dumps(bad)} if bad else None
        write_atomically(self.folder / name, functools.partial(save_file, {"features": features}, metadata=metadata))

    def close(self, facts: Mapping[str, Any]) -> None:
        """Write the index: `facts`, and the hash of every shard."""
        index = {**facts, "rows": self.rows, "sha256": {shard.name: self._sha256(shard) for shard in self.shards()}}
        text = json.dumps(index, indent=1, sort_keys=True)
        write_text(self.folder / INDEX, text)

    def clean(self) -> None:
        """Delete temporary files of a killed run; nobody else may be writing."""
        for leftover in self.folder.glob(".shard-*"):
            leftover.unlink()

    def intact(self) -> bool:
        """Whether the store is complete; a shard that is not what the index says is deleted, to be made again."""
        try:
            hashes = json.loads((self.folder / INDEX).read_text())["sha256"]
            for shard in self.shards():
                if self._sha256(shard) != hashes[shard.name]:
                    (self.folder / shard.name).unlink()
                    (self.folder / INDEX).unlink()
                    return False
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False
        return True

    def read(self, fleeting: Mapping[str, Encoded]) -> Encoded:
        """Features (n, D) of all pictures that could be read, and the reasons of the others by their row.

        `fleeting` holds what is used instead of the files of some shards, by their names.
        """
        features, row = np.empty((0, 0), np.float32), 0
        bad: dict[int, str] = {}
        for shard in self.shards():
            found, reasons = fleeting.get(shard.name) or self._load(shard)
            bad |= {shard.start + place: reason for place, reason in reasons.items()}
            if len(found):
                if not row:  # one block for all, so that the features are never in memory twice
                    features = np.empty((self.rows, found.shape[1]), np.float32)
                features[row : row + len(found)] = found
                row += len(found)
        return (features if row == self.rows else features[:row].copy()), bad

    def _load(self, shard: Shard) -> Encoded:
        return load_file(self.folder / shard.name)["features"], self._reasons(shard)

    def _reasons(self, shard: Shard) -> dict[int, str]:
        with safe_open(self.folder / shard.name, framework="np") as file:
            bad = json.loads((file.metadata() or {}).get("bad", "{}"))
        return {int(place): reason for place, reason in bad.items()}

    def _whole(self, shard: Shard) -> bool:
        """Whether a shard left by an earlier run can be kept; only its head is read."""
        try:
            with safe_open(self.folder / shard.name, framework="np") as file:
                rows: int = file.get_slice("features").get_shape()[0]
            return rows + len(self._reasons(shard)) == shard.stop - shard.start
        except (FileNotFoundError, SafetensorError, ValueError):
            return False

    def _sha256(self, shard: Shard) -> str:
        return sha256_of(self.folder / shard.name)
