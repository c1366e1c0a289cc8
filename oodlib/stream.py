"""Pictures through an encoder, a batch at a time: the next batch is decoded while the model works on this one.

A picture is let go as soon as it is preprocessed, so memory holds one decoded picture and two batches, whatever the
number and size of the pictures.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from oodlib.encoders import Encoder
from oodlib.errors import OodlibError

BATCH = 32  # pictures at once: their feature maps stay in the cache of a core


def encode_stream(
    encoder: Encoder,
    sources: Sequence[Any],
    read: Callable[[Any], Image.Image],
    *,
    tolerate: bool = False,
    pool: Executor | None = None,
    advance: Callable[[int], object] = lambda _: None,
) -> tuple[Tensor, dict[int, str]]:
    """Encode whatever `read` can turn into a picture.

    Parameters
    ----------
    encoder : Encoder
    sources : sequence, length N
        Paths, arrays or pictures.
    read : callable
        From a source to a picture, or `OodlibError` with the reason.
    tolerate : bool
        Whether to go on without a source that cannot be read.
    pool : Executor, optional
        Threads to decode in.
    advance : callable
        Told after each batch how many sources it had.

    Returns
    -------
    features : Tensor
        (n, D) float32, L2-normalised, of those that could be read, in their order; (0, 0) if there are none.
    bad : dict of int to str
        The place and the reason of each of the others.

    Raises
    ------
    OodlibError
        If a source cannot be read and `tolerate` is not set.
    """
    if pool is None:
        with ThreadPoolExecutor(1) as own:
            return encode_stream(encoder, sources, read, tolerate=tolerate, pool=own, advance=advance)
    bad: dict[int, str] = {}

    def pictures(start: int, batch: Sequence[Any]) -> Iterator[Image.Image]:
        for place, source in enumerate(batch, start):
            try:
                picture = read(source)
            except OodlibError as error:
                if not tolerate:
                    raise
                bad[place] = _reason(error, source)
            else:
                yield picture

    def prepare(start: int) -> Tensor | None:
        found = pictures(start, sources[start : start + BATCH])
        first = next(found, None)
        return None if first is None else encoder.prepare(itertools.chain([first], found))

    starts = range(0, len(sources), BATCH)
    parts = []
    ahead = pool.submit(prepare, 0)
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        ready = ahead.result()
        if following is not None:
            ahead = pool.submit(prepare, following)
        if ready is not None:
            parts.append(encoder.encode_images(ready, batch_size=BATCH))
        advance(min(BATCH, len(sources) - start))
    return torch.cat(parts) if parts else torch.empty(0, 0), dict(sorted(bad.items()))


def _reason(error: OodlibError, source: Any) -> str:
    """What is wrong, without the folder: the reason is kept, and the folder may be moved."""
    return str(error).replace(str(source), source.name) if isinstance(source, Path) else str(error)
