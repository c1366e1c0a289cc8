"""Pictures through a `LightEncoder`: what `oodlib.embeddings.stream` is for torch, with a core for each batch."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from oodlib.arrays import as_numpy
from oodlib.datasets.images import Read, readable
from oodlib.machine import cores
from oodlib.pocket.light import LightEncoder

BATCH = 8  # pictures at once; the feature maps of so many stay in the cache of a core

Encoded = tuple[np.ndarray, dict[int, str]]


def encode_groups(
    encoder: LightEncoder,
    groups: Iterable[Sequence[Any]],
    read: Read,
    *,
    tolerate: bool = False,
    advance: Callable[[int], object] = lambda _: None,
) -> Iterator[Encoded]:
    """Encode groups of sources, each on its own, and give them in their order.

    Everything is as `oodlib.embeddings.stream.encode_groups` says, with arrays instead of tensors. Workers are in the
    next group while one is collected.
    """

    def work(batch: Sequence[Any], start: int) -> Encoded:
        bad: dict[int, str] = {}
        pictures = readable(batch, start, read, bad, tolerate)
        first = next(pictures, None)
        if first is None:
            features = np.empty((0, 0), np.float32)
        else:
            features = as_numpy(encoder.encode_images(encoder.pixels(itertools.chain([first], pictures))))
        advance(len(batch))
        return features, bad

    pool = ThreadPoolExecutor(cores())
    waiting: deque[list[Future[Encoded]]] = deque()
    try:
        for group in groups:
            starts = range(0, len(group), BATCH)
            waiting.append([pool.submit(work, group[start : start + BATCH], start) for start in starts])
            if len(waiting) > 2:
                yield _collected(waiting.popleft())
        while waiting:
            yield _collected(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _collected(batches: list[Future[Encoded]]) -> Encoded:
    done = [batch.result() for batch in batches]
    filled = [features for features, _ in done if len(features)]
    bad = {place: reason for _, found in done for place, reason in found.items()}
    return np.concatenate(filled) if filled else np.empty((0, 0), np.float32), bad
