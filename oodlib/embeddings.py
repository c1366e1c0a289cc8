"""Encode once, score many: a store of features, keyed by content, that a kill at any moment cannot spoil.

A store is a folder named after the encoder's specification and the manifest's hash. It holds shards of a fixed number
of rows and, once all are there, an index with their hashes. Batches never cross shards and have a fixed size, so the
features do not depend on how often the work was interrupted.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from oodlib.cache import home_folder, writable, write_atomically
from oodlib.datasets.base import Manifest
from oodlib.encoders import Encoder
from oodlib.errors import OodlibError
from oodlib.images import read_image

SHARD = 512  # rows; a kill loses at most so many
BATCH = 32  # pictures at once: their feature maps stay in the cache of a core
LAYOUT = 1  # raise when the files change


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
    """

    key: str
    ids: tuple[str, ...]
    features: Tensor

    @cached_property
    def _row(self) -> dict[str, int]:
        return {identity: row for row, identity in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

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
    encoder: Encoder, manifest: Manifest, *, home: Path | None = None, progress: bool = False, wait: float = 3600
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
                found = _read(folder, manifest) or _make(folder, encoder, manifest, progress)
        except Timeout:
            raise OodlibError(
                f"another process has been filling {folder} for {wait:.0f} s: wait for it, or stop it"
            ) from None
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
        parts = []
        for name, _, _ in _shards(len(manifest)):
            if _sha256(folder / name) != index["sha256"][name]:
                (folder / name).unlink()
                (folder / "index.json").unlink()
                return None
            parts.append(load_file(folder / name)["features"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return Embeddings(folder.name, tuple(manifest.table["id"]), torch.cat(parts))


def _intact(path: Path, rows: int) -> bool:
    """Whether a shard left by an earlier run can be kept."""
    try:
        return load_file(path)["features"].shape[0] == rows
    except (FileNotFoundError, SafetensorError, KeyError):
        return False


def _make(folder: Path, encoder: Encoder, manifest: Manifest, progress: bool) -> Embeddings:
    for leftover in folder.glob(
        ".shard-*"
    ):  # temporary files of a killed run; the lock says that nobody else is writing
        leftover.unlink()
    paths = manifest.paths()
    console = Console(stderr=True)
    with Progress(console=console, disable=not progress, transient=True) as bar, ThreadPoolExecutor(2) as pool:
        task = bar.add_task(f"embedding {manifest.name}", total=len(paths))
        for name, start, stop in _shards(len(paths)):
            if not _intact(folder / name, stop - start):
                features = _encode(encoder, paths[start:stop], pool)
                write_atomically(folder / name, functools.partial(save_file, {"features": features}))
            bar.update(task, completed=stop)
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


def _encode(encoder: Encoder, paths: list[Path], pool: ThreadPoolExecutor) -> Tensor:
    """Features of one shard; the next batch is decoded while the model works on this one."""

    def prepare(batch: list[Path]) -> Tensor:
        return encoder.prepare([read_image(path) for path in batch])

    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    parts = []
    ahead = pool.submit(prepare, batches[0])
    for following in [*batches[1:], None]:
        ready = ahead.result()
        if following is not None:
            ahead = pool.submit(prepare, following)
        parts.append(encoder.encode_images(ready, batch_size=BATCH))
    return torch.cat(parts)


def forget(home: Path | None = None) -> None:
    """Delete all kept features."""
    shutil.rmtree(home_folder(home) / "embeddings", ignore_errors=True)
