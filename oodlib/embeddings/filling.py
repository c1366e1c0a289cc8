"""Filling a store: from the pictures of a shard to its file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from oodlib.datasets.images import Passing, Read
from oodlib.embeddings.store import Encoded, Shard, Store

if TYPE_CHECKING:
    from oodlib.datasets.base import Manifest
    from oodlib.datasets.listing import Listed, Listing
    from oodlib.embeddings.stream import Crew
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

# From groups of sources and the way to read one to their features, group by group.
EncodeGroups = Callable[..., Iterator[tuple[Any, dict[int, str]]]]


class ShardPictures(NamedTuple):
    """The pictures of one shard."""

    name: str
    files: Sequence[Listed]


def pictures_of(manifest: Manifest | Listing, shards: Iterable[Shard]) -> list[ShardPictures]:
    """The pictures of some shards."""
    files = manifest.files()
    return [ShardPictures(shard.name, files[shard.start : shard.stop]) for shard in shards]


def groups_encoded(encoder: Encoder | LightEncoder, pictures: int, crew: Crew | None = None) -> EncodeGroups:
    """How so many pictures are encoded on this machine: `encode_groups` of the stream that fits the encoder.

    `crew` is who works on them, for encoders of torch; by default the crew that fits.
    """
    if encoder.runtime == "onnx":
        from oodlib.embeddings import light_stream

        return functools.partial(light_stream.encode_groups, encoder)
    from oodlib.embeddings import stream

    return functools.partial(stream.encode_groups, encoder, crew=crew or stream.crew_for(encoder, pictures))


def make_shards(
    encode: EncodeGroups,
    store: Store,
    work: Sequence[ShardPictures],
    read: Read,
    *,
    tolerate: bool,
    advance: Callable[[int], object] = lambda _: None,
) -> dict[str, Encoded]:
    """Encode and keep shards. What comes back, by name, was not kept.

    A file that changed or vanished has a reason that must not be kept, and a shard is kept as a whole.
    """
    groups = (shard.files for shard in work)
    done = encode(groups, read, tolerate=tolerate, advance=advance)
    fleeting: dict[str, Encoded] = {}
    for shard, (features, bad) in zip(work, done, strict=True):
        if any(isinstance(reason, Passing) for reason in bad.values()):
            fleeting[shard.name] = np.asarray(features), bad
        else:
            store.write(shard.name, np.asarray(features), bad)
    return fleeting
