"""Filling a store: from the pictures of a shard to its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from oodlib.datasets.base import Manifest
from oodlib.encoders import Encoder
from oodlib.shards import Part, Shard, Store, sha256_of
from oodlib.stream import Crew, Read, encode_groups


class Piece(NamedTuple):
    """The pictures of one shard, and what the manifest says of their contents."""

    name: str
    paths: Sequence[Path]
    sha256: Sequence[str]


def pieces(manifest: Manifest, parts: Iterable[Part]) -> list[Piece]:
    """The pictures of some shards."""
    paths, hashes = manifest.paths(), list(manifest.table["sha256"])
    return [Piece(part.name, paths[part.start : part.stop], hashes[part.start : part.stop]) for part in parts]


def make_shards(
    encoder: Encoder,
    store: Store,
    work: Sequence[Piece],
    read: Read,
    *,
    crew: Crew,
    tolerate: bool,
    advance: Callable[[int], object] = lambda _: None,
) -> dict[str, Shard]:
    """Encode and keep shards. What comes back, by name, was not kept.

    A file that vanished, or may be readable tomorrow, has a reason that must not be kept.
    """
    groups = (piece.paths for piece in work)
    done = encode_groups(encoder, groups, read, crew=crew, tolerate=tolerate, advance=advance)
    fleeting: dict[str, Shard] = {}
    for piece, (features, bad) in zip(work, done, strict=True):
        if any(_changed(piece.paths[place], piece.sha256[place]) for place in bad):
            fleeting[piece.name] = features, bad
        else:
            store.write(piece.name, features, bad)
    return fleeting


def _changed(path: Path, sha256: str) -> bool:
    """Whether a file is no longer the one that the manifest names."""
    try:
        return sha256_of(path) != sha256
    except OSError:
        return True
