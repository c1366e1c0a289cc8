"""The same shards on a cluster: Ray Data deals them out to actors, and each actor writes its own.

Every machine must see the pictures and the store's folder under the same paths, as on a shared file system. An item is
one shard, so a run that was stopped goes on where it was. What comes out are the bytes that one machine of that kind
would have written (of fewer than sixteen pictures a core: one with as many cores as an actor has). Ray comes with an
extra: `pip install 'oodlib[cluster]'`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from oodlib.datasets.base import Manifest
from oodlib.datasets.listing import Listed
from oodlib.embeddings.embedding import Decode, Embeddings, keep, reading, store_of
from oodlib.embeddings.filling import ShardPictures, groups_encoded, make_shards, pictures_of
from oodlib.embeddings.store import Encoded, Shard, Store
from oodlib.embeddings.stream import BATCH, Crew
from oodlib.encoders.load import load_encoder
from oodlib.errors import OodlibError, naming_extras

Options = Mapping[str, Any]
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


@contextlib.contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """A connection to a cluster, or to a cluster of this machine alone; one that is there already is used and stays.

    Parameters
    ----------
    address : str, optional
        What `ray.init` takes: `auto`, `HOST:PORT` or `ray://HOST:PORT`. None starts Ray on this machine.

    Raises
    ------
    OodlibError
        If Ray is not installed, or no cluster answers.
    """
    # Nothing is sent to Ray's makers, and neither logs nor a warning about its next version come to the screen.
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with naming_extras():
        import ray
    if ray.is_initialized():
        yield
        return
    try:
        ray.init(address or "local", include_dashboard=None if address else False, logging_level=logging.ERROR)
    except Exception as error:  # Ray and the network under it raise many kinds
        raise OodlibError(
            f"no Ray cluster at {address or 'this machine'} ({error}): start one, or check --address"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


class RayEngine:
    """Embeds on the connected cluster, as `oodlib.embeddings.embed` does on one machine.

    Parameters
    ----------
    options : mapping
        What `load_encoder` takes. Each actor loads its own encoder; on "cuda" an actor has one GPU.
    cpus : int, optional
        Cores an actor; by default those of the smallest machine, or on GPUs its share for one GPU.

    Attributes
    ----------
    spec, digest
        Those of the encoder. The machine that asks may be unlike the ones that encode, so one of those tells.

    Raises
    ------
    OodlibError
        If the encoder cannot be loaded, or the cluster has no machine for it.
    """

    def __init__(self, options: Options, cpus: int | None = None):
        import ray

        self.options = dict(options)
        on_gpu = str(self.options.get("device", "cpu")).startswith("cuda")
        if on_gpu:
            self.options["device"] = "cuda"  # an actor sees one GPU, whatever its number
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        fit = [node for node in nodes if node.get("GPU" if on_gpu else "CPU", 0) >= 1]
        if not fit:
            raise OodlibError(
                f"the cluster has no {'GPU' if on_gpu else 'CPU'} to spare: add a machine, or change --device"
            )
        self.cpus = cpus or max(1, min(int(node.get("CPU", 1) // (node["GPU"] if on_gpu else 1)) for node in fit))
        self.needs: dict[str, Any] = {"num_gpus": 1} if on_gpu else {"num_cpus": self.cpus}
        self.actors = int(sum(node["GPU"] if on_gpu else node["CPU"] // self.cpus for node in fit))
        self.spec, self.digest, problem = ray.get(ray.remote(**self.needs)(_described).remote(self.options))
        if problem:
            raise OodlibError(problem)

    def embed(
        self,
        manifest: Manifest,
        *,
        home: Path | None = None,
        progress: bool = False,
        wait: float = 3600,
        tolerate: bool = False,
        decode: Decode = "full",
    ) -> Embeddings:
        """Features of every picture of a manifest; the folder of `home` must be shared. Arguments are those of `embed`.

        Raises
        ------
        OodlibError
            As `embed`; or if the machines have different versions of the libraries.
        """
        store = store_of(self.digest, manifest, decode, home)
        engine = functools.partial(self._run, manifest, decode, tolerate)
        kept = keep(store, manifest, self.spec, engine, progress=progress, wait=wait, tolerate=tolerate, decode=decode)
        return replace(kept, features=torch.from_numpy(kept.features))

    def _run(
        self,
        manifest: Manifest,
        decode: Decode,
        tolerate: bool,
        store: Store,
        shards: list[Shard],
        advance: Callable[[int], object],
    ) -> dict[str, Encoded]:
        import ray.data

        threads = 1 if "num_gpus" in self.needs else max(1, self.cpus // -(-store.rows // BATCH["cpu"]))
        items = [
            {"name": shard.name, "files": [[str(part) for part in file] for file in shard.files]}
            for shard in pictures_of(manifest, shards)
        ]
        with _quiet():
            done = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
                _Actor,
                fn_constructor_kwargs={
                    "options": self.options,
                    "digest": self.digest,
                    "store": store,
                    "decode": decode,
                    "tolerate": tolerate,
                    "crew": Crew(self.cpus // threads + 1, threads),
                },
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(self.actors, len(items))),
                **self.needs,
            )
            for row in done.iter_rows():
                if row["error"]:
                    raise OodlibError(row["error"])
                advance(int(row["rows"]))
        return {}


class _Actor:
    """Holds an encoder and makes one shard a call. What is wrong goes back as a sentence, not as a remote traceback."""

    def __init__(self, options: Options, digest: str, store: Store, decode: Decode, tolerate: bool, crew: Crew) -> None:
        self.encoder = load_encoder(**options)
        self.same = self.encoder.digest == digest
        self.store, self.tolerate = store, tolerate
        self.encode = groups_encoded(self.encoder, store.rows, crew)
        self.read = reading(self.encoder, decode)

    def __call__(self, item: dict[str, Any]) -> dict[str, list[Any]]:
        files = [Listed(Path(path), sha256, pixels) for path, sha256, pixels in item["files"][0]]
        shard = ShardPictures(item["name"][0], files)
        error = "" if self.same else "the machines of the cluster have different versions of torch: install one on all"
        try:
            if not error and make_shards(self.encode, self.store, [shard], self.read, tolerate=self.tolerate):
                error = f"pictures of {shard.name} changed while they were read: list the pictures again"
        except OodlibError as problem:
            error = str(problem)
        return {"rows": [len(files)], "error": [error]}


def _described(options: Options) -> tuple[dict[str, Any], str, str]:
    """Specification and digest of the encoder, or what is wrong."""
    try:
        encoder = load_encoder(**options)
    except OodlibError as problem:
        return {}, "", str(problem)
    return encoder.spec, encoder.digest, ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray Data's own progress and plans off the screen."""
    from ray.data import DataContext

    context, log = DataContext.get_current(), logging.getLogger("ray.data")
    before = context.enable_progress_bars, context.print_on_execution_start, log.level
    context.enable_progress_bars, context.print_on_execution_start = False, False
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start, level = before
        log.setLevel(level)
