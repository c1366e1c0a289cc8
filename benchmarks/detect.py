"""Time `oodlib detect` from files to decisions against the loop one writes by hand with open_clip, in one run.

    python benchmarks/detect.py [--pictures 512] [--threads 2] [--rounds 3]

The work is everything between a list of PNG files and a decision for each: with PocketCLIP, six names and `mcm`. By
hand that is a loop (open, preprocess, stack 64, encode, compare with the names, cut), and the same with a `DataLoader`
of two worker processes. Ours is what the command runs once its words are encoded: it also finds and hashes the files,
keeps the features in a cold, temporary store, reads them back, and makes the table with a reason for each picture. All
take turns, the median of the rounds counts, and scores and decisions must agree. Reading the model and encoding the
names are counted for nobody; every file has been read once before. The aim is to be twice as fast on a CPU, at least.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from _common import TOLERANCE, Files, choose, encode, plain_open_clip, take_turns
from torch import Tensor

from oodlib import Guard

NAMES = ("tiger", "elephant", "octopus", "banana", "pineapple", "watermelon")
OURS, AGAIN = "oodlib detect", "oodlib detect, the same files again"


def by_hand(model: torch.nn.Module, batches: Iterable[Tensor], text: Tensor) -> np.ndarray:
    """The score of MCM for every picture: the largest softmax of the cosines."""
    return torch.cat([(encode(model, batch) @ text.T).softmax(-1).amax(-1) for batch in batches]).numpy()


def ours(guard: Guard, paths: list[Path], home: Path) -> np.ndarray:
    """The command's own path, with its features kept under a folder of our choice."""
    before = os.environ.get("OODLIB_HOME")
    os.environ["OODLIB_HOME"] = str(home)
    try:
        table = guard.detect(paths)
    finally:
        os.environ.pop("OODLIB_HOME") if before is None else os.environ.update(OODLIB_HOME=before)
    assert ((table["decision"] == "in") == (table["score"] >= guard.threshold.value)).all()
    return table["score"].to_numpy()


def cold(guard: Guard, paths: list[Path]) -> np.ndarray:
    with tempfile.TemporaryDirectory() as home:
        return ours(guard, paths, Path(home))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("pictures", 512), ("threads", 2), ("rounds", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    paths = choose(chosen.pictures).paths()
    guard = Guard.make(NAMES, "pocket", "mcm", threshold=0.2)
    model, preprocess = plain_open_clip()
    files, text = Files(paths, preprocess), guard.concepts.text
    reference = by_hand(model, files.one_by_one(), text)  # reads every file once, too
    cut = guard.threshold.value
    sure = np.abs(reference - cut) > TOLERANCE

    def agree(name: str, scores: np.ndarray) -> None:
        np.testing.assert_allclose(scores, reference, atol=TOLERANCE, rtol=0, err_msg=f"scores of {name}")
        assert ((scores >= cut) == (reference >= cut))[sure].all()

    with tempfile.TemporaryDirectory() as kept:
        ours(guard, paths, Path(kept))
        contenders: dict[str, Callable[[], np.ndarray]] = {
            OURS: lambda: cold(guard, paths),
            "open_clip, plain loop": lambda: by_hand(model, files.one_by_one(), text),
            "open_clip, DataLoader with 2 workers": lambda: by_hand(model, files.by_workers(), text),
            AGAIN: lambda: ours(guard, paths, Path(kept)),
        }
        median = take_turns(contenders, chosen.rounds, agree)
    print(
        f"{len(paths)} PNG files to decisions, float32, {chosen.threads} threads, median of {chosen.rounds}; "
        f"scores agree to {TOLERANCE:g}\n"
    )
    print(f"{'':40s}{'s per 1,000':>14s}{'ours is faster by':>20s}")
    for name, took in median.items():
        print(f"{name:40s}{1000 * took / len(paths):14.2f}{'' if name == AGAIN else f'{took / median[OURS]:20.2f}'}")


if __name__ == "__main__":
    main()
