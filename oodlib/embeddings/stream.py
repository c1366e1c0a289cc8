"""Pictures through an encoder: workers take one batch each from files to features, several at a time.

On a CPU each worker computes on one core: many cores on one small batch would mostly wait for each other, and this way
features do not depend on the number of cores. An accelerator is entered by two workers at a time, so that the next
batch is queued there before the last one is done; the other workers decode. For many pictures each of them has a
process of its own to decode in, because threads of one process hold each other up long before sixteen of them feed a
large GPU. Where the encoder's device is "cuda", without a number, every GPU of the machine has a copy of the model.

Memory holds one batch a worker and one decoded picture, whatever the number and size of the pictures.

Why not torch's `DataLoader`: it is slower here, and one bad file ends it. `benchmarks/embedding.py`, `detect.py` and
`photographs.py` run both on the same files and print the ratio.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

import torch
from torch import Tensor

from oodlib.datasets.images import Read, readable
from oodlib.embeddings.readers import Readers, Ready, can_fork
from oodlib.encoders.load import Encoder
from oodlib.machine import cores

# Pictures at once. Fixed by the kind of device, because the last bit of a feature depends on it. On a CPU the feature
# maps of 16 stay in the cache of a core.
BATCH = {"cpu": 16}
BATCH_ACCELERATOR = 64
QUEUED = 2  # workers that may be in an accelerator at once

Encoded = tuple[Tensor, dict[int, str]]


@dataclass(frozen=True)
class Crew:
    """How work is shared out on one machine.

    Parameters
    ----------
    workers : int
        Batches that are worked on at a time.
    threads : int
        Cores that a worker computes with. It decides the last bit of a feature.
    processes : int
        That read pictures for the workers; with 0 each worker reads its own.
    """

    workers: int
    threads: int = 1
    processes: int = 0


def crew_for(encoder: Encoder, pictures: int) -> Crew:
    """The crew that fits this machine and so many pictures.

    A core a worker; only where there are fewer batches than cores, as with a handful of pictures, several cores each.
    """
    if encoder.device.type != "cpu":
        count = min(cores(), 16 * len(devices(encoder)))
        many = pictures >= 4 * count * batch_of(encoder)  # processes take a moment to start
        return Crew(count + 1, processes=count if many and can_fork() else 0)
    allowed = torch.get_num_threads()
    threads = max(1, allowed // -(-pictures // batch_of(encoder)))
    return Crew(allowed // threads + 1, threads)  # one more than fits: a core stays busy while a file is waited for


def batch_of(encoder: Encoder) -> int:
    """Pictures at once on this encoder's kind of device."""
    return BATCH.get(encoder.device.type, BATCH_ACCELERATOR)


def devices(encoder: Encoder) -> list[torch.device]:
    """Where the encoder may run: its own device, or every GPU of the machine if it is "cuda" without a number."""
    if encoder.device != torch.device("cuda"):
        return [encoder.device]
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]


def replicas(encoder: Encoder, places: Sequence[torch.device]) -> list[Encoder]:
    """The encoder, and a copy of it for each place after the first."""
    encoders = [encoder]
    for place in places[1:]:
        twin = copy.copy(encoder)
        twin.device, twin.model = place, copy.deepcopy(encoder.model).to(place)
        encoders.append(twin)
    return encoders


def encode_groups(
    encoder: Encoder,
    groups: Iterable[Sequence[Any]],
    read: Read,
    *,
    crew: Crew,
    tolerate: bool = False,
    advance: Callable[[int], object] = lambda _: None,
) -> Iterator[Encoded]:
    """Encode groups of sources, each on its own, and give them in their order; workers are already in later groups.

    Parameters
    ----------
    encoder : Encoder
    groups : iterable of sequences
        Paths, listed files, arrays or pictures. Batches do not cross groups, and the next group is asked for when it is
        needed.
    read : callable
        From a source to a picture, or `OodlibError` with the reason. Called from several threads, or processes.
    crew : Crew
    tolerate : bool
        Whether to go on without a source that cannot be read.
    advance : callable
        Called after each batch with the number of its sources, from several threads.

    Yields
    ------
    features : Tensor
        (n, D) float32, L2-normalised, of those of the group that could be read, in their order; (0, 0) if there are
        none.
    bad : dict of int to str
        The place in the group and the reason of each of the others.

    Raises
    ------
    OodlibError
        If a source cannot be read and `tolerate` is not set.
    """
    lanes = [(one, BoundedSemaphore(QUEUED)) for one in replicas(encoder, devices(encoder))]
    size = batch_of(encoder)

    def prepare(batch: Sequence[Any], start: int) -> Ready:
        bad: dict[int, str] = {}
        pictures = readable(batch, start, read, bad, tolerate)
        first = next(pictures, None)
        return None if first is None else encoder.pixels(itertools.chain([first], pictures)), bad

    def work(group: Sequence[Any], start: int, lane: int) -> Encoded:
        batch, bad = prepared(group[start : start + size], start)
        features = torch.empty(0, 0) if batch is None else _features(*lanes[lane], batch)
        advance(min(size, len(group) - start))
        return features, bad

    with Readers(prepare, crew.processes) if crew.processes else contextlib.nullcontext(prepare) as prepared:
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(crew.workers, initializer=torch.set_num_threads, initargs=(crew.threads,))
        waiting: deque[list[Future[Encoded]]] = deque()
        try:
            for number, group in enumerate(groups):
                starts = range(0, len(group), size)
                waiting.append([pool.submit(work, group, start, number % len(lanes)) for start in starts])
                # Enough is queued when every worker finds a batch after its own, also while a group is collected.
                while len(waiting) > len(lanes) and sum(map(len, waiting)) - len(waiting[0]) >= 2 * crew.workers:
                    yield _collected(waiting.popleft())
            while waiting:
                yield _collected(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)  # what a worker sets is the default of threads that start later


def _features(encoder: Encoder, gate: BoundedSemaphore, batch: Tensor) -> Tensor:
    if encoder.device.type == "cpu":
        return encoder.encode_images(batch, batch_size=len(batch))
    on_gpu = encoder.device.type == "cuda"
    with torch.cuda.device(encoder.device) if on_gpu else contextlib.nullcontext():
        if on_gpu:  # copied while the batch before it is computed
            batch = batch.pin_memory().to(encoder.device, non_blocking=True)
        with gate:
            return encoder.encode_images(batch, batch_size=len(batch))


def _collected(batches: list[Future[Encoded]]) -> Encoded:
    done = [batch.result() for batch in batches]
    filled = [features for features, _ in done if len(features)]
    bad = {place: reason for _, found in done for place, reason in found.items()}
    return torch.cat(filled) if filled else torch.empty(0, 0), bad
