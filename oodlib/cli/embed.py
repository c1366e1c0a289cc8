"""`oodlib embed`: encode pictures once, on this machine or on a cluster, and keep the features.

Heavy imports wait until the command needs them, so that help comes at once.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodlib.cli.console import command, note, notes, out
from oodlib.cli.detect import SOME_UNREADABLE
from oodlib.cli.options import Encoder, Like, Pretrained, QuickGelu, as_folder
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    from oodlib.datasets.base import Manifest
    from oodlib.embeddings.embedding import Embeddings


def embed(
    folder: Annotated[
        Path | None,
        typer.Argument(parser=as_folder, help="pictures of your own, with those in folders below", show_default=False),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="or the pictures and the encoder of a profile", show_default="pocket"),
    ] = None,
    encoder: Encoder = None,
    pretrained: Pretrained = None,
    quick_gelu: QuickGelu = None,
    like: Like = None,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="cpu, cuda (every GPU of the machine), cuda:0 (one of them) or mps",
            show_default="the profile's, else cpu",
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="fp32, bf16 or fp16", show_default="the profile's, else fp32")
    ] = None,
    decode: Annotated[
        str,
        typer.Option(
            "--decode",
            help="full, or scaled: large JPEGs are decoded at a fraction of their size, which is faster and changes "
            "features a little",
        ),
    ] = "full",
    engine: Annotated[str, typer.Option("--engine", help="local, or ray: a cluster")] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address", help="where the cluster is: auto, HOST:PORT or ray://HOST:PORT", show_default="this machine"
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="also write ids and features to this file, such as mine.parquet"),
    ] = None,
) -> None:
    """Embed pictures, or go on where an earlier run stopped.

    For example: oodlib embed photos/ --encoder ViT-B-32 --pretrained openai --output photos.parquet

    Features are kept, and every other command finds them. With --engine ray all machines must see the pictures and the
    cache folder (OODLIB_HOME) under the same paths; PocketCLIP is then computed with torch, as in the book, and detect
    and search, which load no torch, do not read those features.
    """
    _check_engine(engine, address, device)
    if decode not in ("full", "scaled"):
        raise OodlibError(f"there is no way of decoding {decode!r}: choose full or scaled")
    if output is not None and output.suffix != ".parquet":
        raise OodlibError(f"{output} is not named .parquet: features are written in that format only")
    if output is not None:
        from oodlib.cache import check_target

        check_target(output)
    weights = {"pretrained": pretrained, "quick_gelu": quick_gelu, "like": like}
    manifests, options, unopened = _work(folder, profile, encoder, weights)
    options |= {name: value for name, value in (("device", device), ("precision", precision)) if value}
    if precision and engine == "local":
        _warn_of(precision, options.get("device", "cpu"))
    with _engine(engine, options, address, own=folder is not None) as (digest, make):
        parts = [_embed(manifest, digest, make, decode, folder is not None) for manifest in manifests]
    if output is not None:
        _write(output, parts)
    bad = unopened | {identity: reason for part in parts for identity, reason in part.bad.items()}
    for reason in bad.values():
        note(reason)
    if bad:
        raise typer.Exit(SOME_UNREADABLE)


command(
    embed,
    epilog="Exit code: 0 all pictures are embedded; 4 some of the folder cannot be read; 1 an error, stated in one "
    "sentence; 2 a mistyped command; 130 interrupted.",
)


def _check_engine(engine: str, address: str | None, device: str | None) -> None:
    """Refuse an engine that there is not, and what the other engine alone would use."""
    if engine not in ("local", "ray"):
        raise OodlibError(f"there is no engine {engine!r}: choose local or ray")
    if address is not None and engine == "local":
        raise OodlibError("--address is for a cluster: add --engine ray, or leave it out")
    if device is not None and device.startswith("cuda:") and engine == "ray":
        raise OodlibError(f"on a cluster every worker has a GPU of its own: pass --device cuda, not {device}")


def _work(
    folder: Path | None, profile: str | None, encoder: str | None, weights: dict[str, Any]
) -> tuple[list[Manifest], dict[str, Any], dict[str, str]]:
    """What to embed, what `load_encoder` is called with, and files of the folder that cannot be opened."""
    chosen_weights = {key: value for key, value in weights.items() if value is not None}
    if folder is None:
        if encoder or chosen_weights:
            said = "--encoder" if encoder else f"--{next(iter(chosen_weights)).replace('_', '-')}"
            raise OodlibError(f"a profile has its own encoder: name a folder of pictures, or leave {said} out")
        from oodlib.experiments.profiles import load_profile

        chosen = load_profile(profile or "pocket")
        return _manifests(chosen), chosen.encoder.options(), {}
    if profile is not None:
        raise OodlibError("whose pictures? Name a folder or a --profile, not both")
    from oodlib.datasets.folder import from_folder

    found = from_folder(folder)
    if not len(found.manifest):
        raise OodlibError(f"no picture in {folder} can be opened: {next(iter(found.bad.values()))}")
    bad = {given: f"{given} {reason}" for given, reason in found.bad.items()}
    return [found.manifest], {"name": encoder or "pocket", **chosen_weights}, bad


def _manifests(profile: Any) -> list[Manifest]:
    from oodlib.experiments.pictures import pictures_of

    return list(pictures_of(profile).to_embed)


def _warn_of(precision: str, device: str) -> None:
    """Say so before the work begins, where this machine is slow in the precision that was asked for."""
    from oodlib.machine import PRECISIONS, warning

    if precision in PRECISIONS and (slow := warning(precision, device)):
        note(slow)


@contextlib.contextmanager
def _engine(engine: str, options: dict[str, Any], address: str | None, own: bool) -> Iterator[tuple[str, Any]]:
    """The encoder's digest, and a function from a manifest to its embeddings.

    The encoder is that of the commands that read the features: `detect` and `search` a person's own pictures, the book
    a profile's.
    """
    if engine == "local":
        from oodlib.embeddings.embedding import embed as embed_here

        load: Callable[..., Any]
        if own:
            from oodlib.encoders.named import named_encoder

            load = named_encoder
        else:
            from oodlib.encoders.load import load_encoder

            load = load_encoder
        encoder = load(**options)
        yield encoder.digest, functools.partial(embed_here, encoder)
        return
    from oodlib.embeddings.ray_engine import RayEngine, connected

    with connected(address):
        cluster = RayEngine(options)
        yield cluster.digest, cluster.embed


def _embed(manifest: Manifest, digest: str, make: Any, decode: Any, tolerate: bool) -> Embeddings:
    """One data set, with a word before and after."""
    from oodlib.embeddings.embedding import store_of

    store = store_of(digest, manifest, decode)
    todo = sum(shard.stop - shard.start for shard in store.missing())
    kept = len(manifest) - todo
    out.print(
        f"{manifest.name}: {len(manifest):,} pictures, {kept:,} of them kept already, in {store.folder}",
        markup=False,
    )
    start = time.monotonic()
    embeddings: Embeddings = make(manifest, progress=notes.is_terminal, tolerate=tolerate, decode=decode)
    took = time.monotonic() - start
    rate = f"; {todo / took:,.1f} pictures/s" if todo else ""
    out.print(f"{len(embeddings):,} pictures, {embeddings.features.shape[1]} numbers each, in {took:.1f} s{rate}")
    out.print(f"store    {embeddings.key}\nencoder  {digest}\nmanifest {manifest.digest}")
    return embeddings


def _write(path: Path, parts: list[Embeddings]) -> None:
    """Ids and features as a table of two columns; a feature is a list of numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from oodlib.arrays import as_numpy
    from oodlib.cache import write_atomically
    from oodlib.embeddings.embedding import Embeddings

    joined = Embeddings.join(parts)
    width = joined.features.shape[1]
    rows = pa.FixedSizeListArray.from_arrays(pa.array(as_numpy(joined.features).ravel()), width)
    table = pa.table({"id": list(joined.ids), "features": rows})

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # pyarrow takes no name that is not UTF-8
            pq.write_table(table, file)

    write_atomically(path, write)
    out.print(f"features of {len(joined):,} pictures: {path}", markup=False)
