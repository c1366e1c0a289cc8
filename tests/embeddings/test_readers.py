"""Processes that read pictures, on real forks."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from oodlib.embeddings import readers
from oodlib.embeddings.readers import Readers
from oodlib.errors import OodlibError

pytestmark = pytest.mark.skipif(not readers.can_fork(), reason="this system has no fork")


def prepare(batch, start):
    """Numbers stand for pictures: negative ones cannot be read, 0 ends the process, 1 is a mistake in the program."""
    if 0 in batch:
        os.kill(os.getpid(), signal.SIGKILL)
    if 1 in batch:
        raise OodlibError("the picture 1 cannot be read: look at it")
    good = [number for number in batch if number > 0]
    bad = {start + place: f"{number} is negative" for place, number in enumerate(batch) if number < 0}
    return torch.tensor([[number, os.getpid()] for number in good]) if good else None, bad


def gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def test_batches_are_made_in_other_processes_and_in_several():
    with Readers(prepare, 2) as prepared, ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda number: prepared([number, -7], number), range(2, 200)))
    assert [int(batch[0, 0]) for batch, _ in done] == list(range(2, 200))
    assert [bad for _, bad in done] == [{number + 1: "-7 is negative"} for number in range(2, 200)]
    processes = {int(batch[0, 1]) for batch, _ in done}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert all(gone(process) for process in processes)


def test_a_batch_of_nothing_but_unreadable_pictures_has_no_tensor():
    with Readers(prepare, 1) as prepared:
        assert prepared([-1, -2], 10) == (None, {10: "-1 is negative", 11: "-2 is negative"})


def test_an_error_comes_back_as_it_was_and_the_process_goes_on():
    with Readers(prepare, 1) as prepared:
        with pytest.raises(OodlibError, match="the picture 1 cannot be read: look at it"):
            prepared([1], 0)
        assert int(prepared([5], 0)[0][0, 0]) == 5


def test_a_process_that_is_killed_is_an_error_with_a_remedy():
    with Readers(prepare, 2) as prepared, pytest.raises(OodlibError, match=r"ended from outside.*run it again"):
        prepared([0], 0)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
def test_the_processes_do_not_outlive_a_parent_that_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("oodlib.machine.SECONDS", 0.05)
    file = tmp_path / "process"
    parent = os.fork()
    if parent == 0:
        prepared = Readers(prepare, 1)
        file.with_suffix(".part").write_text(str(int(prepared([5], 0)[0][0, 1])))
        file.with_suffix(".part").rename(file)
        time.sleep(60)
        os._exit(0)
    deadline = time.monotonic() + 30
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process = int(file.read_text())
    assert not gone(process)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    while not gone(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(process)
