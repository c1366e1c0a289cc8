"""Encode once, score many: a store of features, keyed by content, that a kill at any moment cannot spoil.

A store is a folder named after the encoder's specification and the manifest's hash. It holds shards of a fixed number
of rows and, once all are there, an index with their hashes. Batches never cross shards and have a fixed size, so the
features do not depend on how often the work was interrupted. A picture that cannot be read stops the work, or, where
that is tolerated, has no row and its reason is kept in its shard.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from oodlib.cache import home_folder, writable, write_atomically
from oodlib.datasets.base import Manifest
from oodlib.encoders import Encoder
from oodlib.errors import OodlibError
from oodlib.images import read_image
from oodlib.stream import encode_stream

SHARD = 512  # rows; a kill loses at most so many
LAYOUT = 1  # raise when the files change

Shard = tuple[Tensor, dict[int, str]]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Kept image features of one dataset under one encoder.

    Parameters
    ----------
    key : str
        Name of the store: encoder and manifest.
    ids : tuple of str
        Picture ids, N.
    features : Tensor
        (N, D) float32, L2-normalised, rows in the order of `ids`.
    bad : mapping of str to str
        Ids of pictures that could not be read, with the reason; they are not among `ids`.
    """

    key: str
    ids: tuple[str, ...]
    features: Tensor
    bad: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {identity: row for row, identity in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def join(cls, parts: list[Embeddings]) -> Embeddings:
        """TEMPORARY."""
        if len(parts) == 1:
            return parts[0]
        ids = tuple(identity for part in parts for identity in part.ids)
        return cls("+".join(part.key for part in parts), ids, torch.cat([part.features for part in parts]))

    def of(self, manifest: Manifest) -> Tensor:
        """Features of a part of the dataset, (n, D), in the order of its rows.

        Raises
        ------
        OodlibError
            If a picture was not embedded.
        """
        try:
            return self.features[[self._row[identity] for identity in manifest.table["id"]]]
        except KeyError as error:
            raise OodlibError(
                f"the picture {error} is not among the embedded ones: embed the whole dataset first"
            ) from None


def key_of(encoder: Encoder, manifest: Manifest) -> str:
    """Name of the store of these features."""
    digest = hashlib.sha256(f"{LAYOUT}:{encoder.digest}:{manifest.digest}".encode()).hexdigest()
    return f"{manifest.name}-{digest[:16]}"


def embed(
    encoder: Encoder,
    manifest: Manifest,
    *,
    home: Path | None = None,
    progress: bool = False,
    wait: float = 3600,
    tolerate: bool = False,
) -> Embeddings:
    """Features of every picture of a manifest: read from the store, or computed and kept.

    Parameters
    ----------
    encoder : Encoder
    manifest : Manifest
        Its order of rows is part of the key.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.
    progress : bool
        Show a progress bar on standard error.
    wait : float
        Seconds to wait for another process that is embedding the same pictures.
    tolerate : bool
        Whether to list pictures that cannot be read in `Embeddings.bad` and go on.

    Returns
    -------
    Embeddings

    Raises
    ------
    OodlibError
        If a picture cannot be read (what was embedded before it is kept), or the cache folder cannot be written.
    """
    if not len(manifest):
        raise OodlibError(f"the manifest of {manifest.name} is empty: there is nothing to embed")
    folder = home_folder(home) / "embeddings" / key_of(encoder, manifest)
    found = _read(folder, manifest)
    if found is None:
        writable(folder)
        try:
            with FileLock(folder / "lock", timeout=wait):
                found = _read(folder, manifest) or _make(folder, encoder, manifest, progress, tolerate)
        except Timeout:
            raise OodlibError(
                f"another process has been filling {folder} for {wait:.0f} s: wait for it, or stop it"
            ) from None
    if found.bad and not tolerate:
        raise OodlibError(next(iter(found.bad.values())))
    return found


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _shards(n: int) -> Iterator[tuple[str, int, int]]:
    for number, start in enumerate(range(0, n, SHARD)):
        yield f"shard-{number:05d}.safetensors", start, min(start + SHARD, n)


def _read(folder: Path, manifest: Manifest) -> Embeddings | None:
    """The kept features, or None where they are incomplete; a damaged shard is deleted, so that it is made again."""
    try:
        index = json.loads((folder / "index.json").read_text())
        shards = []
        for name, _, _ in _shards(len(manifest)):
            if _sha256(folder / name) != index["sha256"][name]:
                (folder / name).unlink()
                (folder / "index.json").unlink()
                return None
            shards.append(_load(folder / name))
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return _joined(folder.name, manifest, shards)


def _load(path: Path) -> Shard:
    """One shard: features (n, D), and the reasons of its other pictures by their place in it."""
    with safe_open(path, framework="pt") as file:
        bad = json.loads((file.metadata() or {}).get("bad", "{}"))
    return load_file(path)["features"], {int(place): reason for place, reason in bad.items()}


def _joined(key: str, manifest: Manifest, shards: list[Shard]) -> Embeddings:
    every = list(manifest.table["id"])
    bad = {every[k * SHARD + place]: reason for k, shard in enumerate(shards) for place, reason in shard[1].items()}
    parts = [features for features, _ in shards if len(features)]
    ids = tuple(identity for identity in every if identity not in bad)
    return Embeddings(key, ids, torch.cat(parts) if parts else torch.empty(0, 0), bad)


def _intact(path: Path, rows: int) -> Shard | None:
    """A shard left by an earlier run, if it can be kept."""
    try:
        features, bad = _load(path)
        return (features, bad) if len(features) + len(bad) == rows else None
    except (FileNotFoundError, SafetensorError, KeyError):
        return None


def _make(folder: Path, encoder: Encoder, manifest: Manifest, progress: bool, tolerate: bool) -> Embeddings:
    for leftover in folder.glob(
        ".shard-*"
    ):  # temporary files of a killed run; the lock says that nobody else is writing
        leftover.unlink()
    paths, hashes = manifest.paths(), list(manifest.table["sha256"])
    console = Console(stderr=True)
    shards: list[Shard] = []
    fleeting = False
    with Progress(console=console, disable=not progress, transient=True) as bar, ThreadPoolExecutor(2) as pool:
        task = bar.add_task(f"embedding {manifest.name}", total=len(paths))
        advance = functools.partial(bar.advance, task)
        for name, start, stop in _shards(len(paths)):
            shard = _intact(folder / name, stop - start)
            if shard is None:
                shard = features, bad = _encode(encoder, paths[start:stop], pool, tolerate, advance)
                # A file that vanished, or may be readable tomorrow, has a reason that must not be kept.
                if any(_changed(paths[start + place], hashes[start + place]) for place in bad):
                    fleeting = True
                else:
                    told = {"bad": json.dumps(bad)} if bad else None
                    write_atomically(folder / name, functools.partial(save_file, {"features": features}, metadata=told))
            else:
                advance(stop - start)
            shards.append(shard)
    if fleeting:
        return _joined(folder.name, manifest, shards)
    index = {
        "manifest": manifest.digest,
        "encoder": encoder.spec,
        "rows": len(paths),
        "sha256": {name: _sha256(folder / name) for name, _, _ in _shards(len(paths))},
    }
    write_atomically(folder / "index.json", lambda path: path.write_text(json.dumps(index, indent=1, sort_keys=True)))
    found = _read(folder, manifest)
    if found is None:
        raise OodlibError(f"the features in {folder} changed while they were written: check the disk and try again")
    return found


def _changed(path: Path, sha256: str) -> bool:
    """Whether a file is no longer the one that the manifest names."""
    try:
        return _sha256(path) != sha256
    except OSError:
        return True


def _encode(
    encoder: Encoder,
    paths: list[Path],
    pool: ThreadPoolExecutor,
    tolerate: bool,
    advance: Callable[[int], object],
) -> Shard:
    return encode_stream(encoder, paths, read_image, tolerate=tolerate, pool=pool, advance=advance)


def forget(home: Path | None = None) -> None:
    """Delete all kept features."""
    shutil.rmtree(home_folder(home) / "embeddings", ignore_errors=True)
