"""Processes that read pictures for an accelerator.

Threads of one process share its memory map and its interpreter, and sixteen of them read hardly more pictures a second
than four. Processes do not hold each other up. What a process prepares comes back through a pipe as bytes, which needs
no shared memory (containers often have little).

Processes are forked: they have the encoder's preprocessing without loading anything, and never touch the accelerator.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods, get_context
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodlib.errors import OodlibError
from oodlib.machine import leave_with

Ready = tuple[Tensor | None, dict[int, str]]
Prepare = Callable[[Sequence[Any], int], Ready]

_prepare: Prepare | None = None  # in a process of the pool: the function that it runs


def can_fork() -> bool:
    """Whether this system can have such processes."""
    return "fork" in get_all_start_methods()


class Readers:
    """A number of processes that do one thing; a context, at whose end they are gone.

    Parameters
    ----------
    prepare : callable
        From a batch of sources and the place of the first to a tensor, or None if there is nothing in it, and to the
        reasons of those that are missing. It runs in the processes.
    count : int
        Of processes.
    """

    def __init__(self, prepare: Prepare, count: int):
        self._pool = ProcessPoolExecutor(count, get_context("fork"), _begin, (prepare, os.getpid()))
        self._pool.submit(os.getpid)  # forks them now, before this process has more threads

    def __call__(self, batch: Sequence[Any], start: int) -> Ready:
        """What `prepare` gives for a batch, computed in the next free process.

        Raises
        ------
        OodlibError
            What `prepare` raises; or if a process was ended from outside.
        """
        try:
            ready, bad = self._pool.submit(_work, batch, start).result()
        except BrokenProcessPool:
            raise OodlibError(
                "a process that reads pictures was ended from outside, often for want of memory: run it again, and "
                "what was finished is found"
            ) from None
        return None if ready is None else torch.from_numpy(ready), bad

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def _begin(prepare: Prepare, parent: int) -> None:
    """What each process does first."""
    global _prepare
    _prepare = prepare
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, too, and ends its processes
    torch.set_num_threads(1)
    leave_with(parent)


def _work(batch: Sequence[Any], start: int) -> tuple[np.ndarray | None, dict[int, str]]:
    """As an array: a tensor would be sent through shared memory."""
    assert _prepare is not None
    ready, bad = _prepare(batch, start)
    return None if ready is None else ready.numpy(), bad
