"""Encode once, score many: a store of features, keyed by content, that a kill at any moment cannot spoil.

A store is a folder named after the encoder's specification and the manifest's hash (`oodlib.embeddings.store` has its
files). Batches never cross shards and have a fixed size, so the features do not depend on how often the work was
interrupted, nor on who did it: this machine, or a cluster (`oodlib.embeddings.ray_engine`). A picture that cannot be
read stops the work, or, where that is tolerated, has no row and its reason is kept in its shard.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from oodlib.arrays import join
from oodlib.cache import home_folder, writable
from oodlib.datasets.images import Read, read_image
from oodlib.embeddings.filling import groups_encoded, make_shards, pictures_of
from oodlib.embeddings.store import Encoded, Shard, Store
from oodlib.errors import DamagedError, OodlibError, mended

if TYPE_CHECKING:
    from oodlib.datasets.base import Manifest
    from oodlib.datasets.listing import Listing
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

LAYOUT = 3  # raise when the files change, or what a picture's numbers mean
SCALED = 3  # a scaled picture is still so many times as large as the model's input

Decode = Literal["full", "scaled"]
# Writes some shards, says how many rows are done, and returns by name those that must not be kept.
Engine = Callable[[Store, list[Shard], Callable[[int], object]], dict[str, Encoded]]


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Kept image features of one dataset under one encoder.

    Parameters
    ----------
    key : str
        Name of the store: encoder and manifest. Of several joined ones their names, with `+` between.
    ids : tuple of str
        Picture ids, N.
    features : Tensor or array
        (N, D) float32, L2-normalised, rows in the order of `ids`; an array where the encoder is a `LightEncoder`.
    bad : mapping of str to str
        Ids of pictures that could not be read, with the reason; they are not among `ids`.
    """

    key: str
    ids: tuple[str, ...]
    features: Any
    bad: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def join(cls, parts: Sequence[Embeddings]) -> Embeddings:
        """Features of several datasets under one encoder, one after the other; of one part, that part.

        A picture that is in several parts counts once.

        Raises
        ------
        OodlibError
            If there is no part, the features are of different encoders (by their length), or one id names different
            pictures.
        """
        if not parts:
            raise OodlibError("there are no embeddings to join: pass at least one")
        if len(parts) == 1:
            return parts[0]
        filled = [part for part in parts if len(part)]
        if len({part.features.shape[1] for part in filled}) > 1:
            raise OodlibError("features of different lengths cannot be joined: embed all pictures with one encoder")
        rows: dict[str, int] = {}
        features = join([part.features for part in filled or parts[:1]])
        for row, identity in enumerate(identity for part in filled for identity in part.ids):
            first = rows.setdefault(identity, row)
            if first != row and float(abs(features[first] - features[row]).max()) > 1e-4:
                raise OodlibError(f"the id {identity!r} names different pictures: give the files different paths")
        bad = {identity: reason for part in parts for identity, reason in part.bad.items() if identity not in rows}
        chosen = features if len(rows) == len(features) else features[list(rows.values())]
        return cls("+".join(part.key for part in parts), tuple(rows), chosen, bad)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {identity: row for row, identity in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, manifest: Manifest) -> Any:
        """Features of a part of the dataset, (n, D), in the order of its rows.

        Raises
        ------
        OodlibError
            If a picture was not embedded.
        """
        try:
            return self.features[[self._row[identity] for identity in manifest.ids]]
        except KeyError as error:
            raise OodlibError(
                f"the picture {error} is not among the embedded ones: embed the whole dataset first"
            ) from None


def key_of(encoder: Encoder | LightEncoder | str, manifest: Manifest | Listing, decode: Decode = "full") -> str:
    """Name of the store of these features; an encoder may be given by its digest.

    Pillow's version is part of it, because tall pictures are scaled to other pixels by 13 than by 12.
    """
    digest = encoder if isinstance(encoder, str) else encoder.digest
    how = "" if decode == "full" else f":{decode}-{SCALED}"
    content = f"{LAYOUT}:{digest}:{manifest.digest}{how}:pillow-{version('pillow')}"
    name = hashlib.sha256(content.encode()).hexdigest()
    return f"{manifest.name}-{name[:16]}"


def store_of(
    encoder: Encoder | LightEncoder | str,
    manifest: Manifest | Listing,
    decode: Decode = "full",
    home: Path | None = None,
) -> Store:
    """Where these features are kept, or will be; no folder is created."""
    return Store(home_folder(home) / "embeddings" / key_of(encoder, manifest, decode), len(manifest))


def embed(
    encoder: Encoder | LightEncoder,
    manifest: Manifest | Listing,
    *,
    home: Path | None = None,
    progress: bool = False,
    wait: float = 3600,
    tolerate: bool = False,
    decode: Decode = "full",
) -> Embeddings:
    """Features of every picture of a manifest: read from the store, or computed and kept.

    Parameters
    ----------
    encoder : Encoder or LightEncoder
        Where its device is "cuda", every GPU of the machine is used; "cuda:0" is one of them.
    manifest : Manifest or Listing
        Its order of rows is part of the key.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.
    progress : bool
        Show a progress bar on standard error.
    wait : float
        Seconds to wait for another process that is embedding the same pictures.
    tolerate : bool
        Whether to list pictures that cannot be read in `Embeddings.bad` and go on.
    decode : {"full", "scaled"}
        "scaled" decodes JPEGs that are several times as large as the model's input at a smaller scale, which is faster
        and changes features a little; see `reading`. It is part of the key.

    Returns
    -------
    Embeddings

    Raises
    ------
    OodlibError
        If a picture cannot be read (what was embedded before it is kept), or the cache folder cannot be written.
    """
    engine = functools.partial(_here, encoder, manifest, reading(encoder, decode), tolerate)
    store = store_of(encoder, manifest, decode, home)
    kept = keep(store, manifest, encoder.spec, engine, progress=progress, wait=wait, tolerate=tolerate, decode=decode)
    return replace(kept, features=encoder.as_features(kept.features))


def keep(
    store: Store,
    manifest: Manifest | Listing,
    spec: Mapping[str, Any],
    engine: Engine,
    *,
    progress: bool,
    wait: float,
    tolerate: bool,
    decode: Decode,
) -> Embeddings:
    """Read a store, or have an engine fill it first; `embed` says what the arguments mean. Features are an array."""
    if not store.rows:
        raise OodlibError(f"the manifest of {manifest.name} is empty: there is nothing to embed")
    fill = functools.partial(_filled, store, manifest, spec, engine, progress, wait, decode)
    fleeting = fill()
    try:
        features, reasons = store.read(fleeting)
    except DamagedError as error:
        mended(f"what is damaged in {store.folder}", error)
        fleeting = fill(mend=True)
        features, reasons = store.read(fleeting)
    all_ids = manifest.ids
    if reasons and not tolerate:
        raise OodlibError(next(iter(reasons.values())))
    ids = tuple(identity for row, identity in enumerate(all_ids) if row not in reasons) if reasons else tuple(all_ids)
    return Embeddings(store.folder.name, ids, features, {all_ids[row]: reason for row, reason in reasons.items()})


def _filled(
    store: Store,
    manifest: Manifest | Listing,
    spec: Mapping[str, Any],
    engine: Engine,
    progress: bool,
    wait: float,
    decode: Decode,
    mend: bool = False,
) -> dict[str, Encoded]:
    """Have the engine make what a store lacks, and with `mend` what is damaged; what comes back was not kept."""
    if store.complete() and not mend:
        return {}
    writable(store.folder)
    try:
        with FileLock(store.folder / "lock", timeout=wait):
            if mend:
                store.discard_damaged()
            if store.complete():  # another process was faster
                return {}
            fleeting = _fill(store, manifest, engine, progress)
            if not fleeting:
                store.close({"manifest": manifest.digest, "encoder": spec, "decode": decode})
            return fleeting
    except Timeout:
        raise OodlibError(
            f"another process has been filling {store.folder} for {wait:.0f} s: wait for it, or stop it"
        ) from None


def reading(encoder: Encoder | LightEncoder, decode: Decode = "full") -> Read:
    """How files become pictures for this encoder.

    With "scaled", a JPEG is decoded at 1/2, 1/4 or 1/8 of its size where its shorter side then still is three times the
    side that the encoder scales pictures to, and where both sides divide evenly, so that the picture keeps its shape.
    Measured with PocketCLIP, a feature's cosine with that of full decoding stays above 0.999.
    """
    if decode == "full":
        return read_image
    if decode != "scaled":
        raise OodlibError(f"there is no way of decoding {decode!r}: choose full or scaled")
    preprocess = encoder.spec["preprocess"]
    size = preprocess.get("resize") or preprocess["size"]
    return functools.partial(read_image, at_least=SCALED * (size if isinstance(size, int) else max(size)))


def _here(
    encoder: Encoder | LightEncoder,
    manifest: Manifest | Listing,
    read: Read,
    tolerate: bool,
    store: Store,
    shards: list[Shard],
    advance: Callable[[int], object],
) -> dict[str, Encoded]:
    """The engine of this machine."""
    encode = groups_encoded(encoder, store.rows)
    return make_shards(encode, store, pictures_of(manifest, shards), read, tolerate=tolerate, advance=advance)


def _fill(store: Store, manifest: Manifest | Listing, engine: Engine, progress: bool) -> dict[str, Encoded]:
    store.clean()
    todo = store.missing()
    from rich.console import Console  # features that are kept already need no bar
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not progress, transient=True) as bar:
        task = bar.add_task(f"embedding {manifest.name}", total=store.rows)
        bar.advance(task, store.rows - sum(shard.stop - shard.start for shard in todo))
        return engine(store, todo, functools.partial(bar.advance, task)) if todo else {}


def forget(home: Path | None = None) -> None:
    """Delete all kept features."""
    shutil.rmtree(home_folder(home) / "embeddings", ignore_errors=True)
