"""Executing several notebooks at once: every other core would wait while one of them draws or sorts."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from typing import Any, NamedTuple

from oodlib.book.chapters import about, reads, source_path
from oodlib.book.kernel import THREADS, environment
from oodlib.book.notebooks import Executed, execute, up_to_date
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import Profile
from oodlib.machine import cores, leave_with

MOST = 4  # notebooks at once by default: each takes up to two gigabytes

Job = tuple[str, Profile, dict[str, Any]]


class Done(NamedTuple):
    """A notebook, the profile it was executed under, the result, and the seconds that it took."""

    name: str
    profile: Profile
    result: Executed
    seconds: float


def execute_all(jobs: Sequence[Job], at_once: int | None = None) -> Iterator[Done]:
    """Execute notebooks, several at a time, with the result of one after the other.

    Notebooks that read others' results begin when all the others have ended; none reads what another of them makes. One
    that measures times has the machine for itself. The longest begin first, so that none is left alone at the end.

    Parameters
    ----------
    jobs : sequence of (str, Profile, dict)
        As `oodlib.book.chapters.jobs_of` gives them. Profiles with photographs run one notebook at a time: their
        features fill the memory, and an accelerator would be shared.
    at_once : int, optional
        Notebooks at once, which share the cores; by default as many as there are cores, but at most `MOST`.

    Yields
    ------
    Done
        As each ends.

    Raises
    ------
    OodlibError
        As `execute`, of the first that fails; those that run beside it are finished and kept.
    """
    most = at_once or min(cores(), MOST)
    for _, group in groupby(jobs, key=lambda job: job[1].name):
        own = list(group)
        readers = [job for job in own if reads(source_path(job[0]))]
        with contextlib.ExitStack() as until_then:
            pool: ProcessPoolExecutor | None = None
            for wave in ([job for job in own if job not in readers], readers):
                beside = [job for job in wave if _can_share(*job) and not _up_to_date(*job)]
                beside.sort(key=lambda job: -about(source_path(job[0])).get("minutes", 0))
                count = min(most, len(beside))
                if count > 1:
                    often = len(beside) + (len(readers) if wave is not readers else 0) > most
                    pool = pool or until_then.enter_context(_processes(most, often=often))
                    yield from _at_once(beside, pool, count)
                yield from (_execute(*job) for job in wave if count < 2 or job not in beside)


def _can_share(name: str, profile: Profile, _: dict[str, Any]) -> bool:
    return not (profile.photos or about(source_path(name)).get("alone"))


def _up_to_date(name: str, profile: Profile, given: dict[str, Any]) -> bool:
    return up_to_date(name, profile.name, given, small=profile.is_small)


@contextlib.contextmanager
def _processes(most: int, *, often: bool) -> Iterator[ProcessPoolExecutor]:
    """Of their own, because a kernel takes its environment and its CPU seconds from the process that starts it.

    They are started when they are needed. Where some execute `often`, more than one notebook, they import for all.
    """
    pool = ProcessPoolExecutor(most, multiprocessing.get_context("spawn"), _begin, (os.getpid(), often))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _at_once(jobs: Sequence[Job], pool: ProcessPoolExecutor, count: int) -> Iterator[Done]:
    """Execute `count` of them at a time, in processes that share the cores."""
    share = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, cores() // count)))}
    with environment({name: os.environ.get(name, value) for name, value in THREADS.items()} | share):
        try:
            running = [pool.submit(_execute, *job) for job in jobs]
            for done in as_completed(running):
                yield done.result()
        except BrokenProcessPool:
            raise OodlibError(
                "a process that executed a notebook was ended from outside, often for want of memory: close other "
                "programs or pass --jobs 1, and what was finished is found"
            ) from None


def _begin(parent: int, often: bool) -> None:
    """What each process does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the kernels and the parent hear it, too
    leave_with(parent)
    with contextlib.suppress(ModuleNotFoundError):  # of the extra `book`: the first notebook says so
        if often:
            from oodlib.book.forked import fork_kernels  # takes jupyter_client along, which a second run does without

            fork_kernels()


def _execute(name: str, profile: Profile, given: dict[str, Any]) -> Done:
    start = time.monotonic()
    result = execute(name, profile.name, given, small=profile.is_small)
    return Done(name, profile, result, time.monotonic() - start)
