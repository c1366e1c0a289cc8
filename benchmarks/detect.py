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
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from oodlib.datasets import emojishift
from oodlib.guard import Guard
from oodlib.pocket.assemble import assemble

NAMES = ("tiger", "elephant", "octopus", "banana", "pineapple", "watermelon")
BATCH = 64
TOLERANCE = 1e-4
OURS, AGAIN = "oodlib detect", "oodlib detect, the same files again"


class Files(Dataset):
    """Preprocessed pictures by index."""

    def __init__(self, paths: list[Path], preprocess: Callable[[Image.Image], Tensor]):
        self.paths, self.preprocess = paths, preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.preprocess(Image.open(self.paths[index]))


def score(model: torch.nn.Module, batch: Tensor, text: Tensor) -> Tensor:
    """The score of MCM: the largest softmax of the cosines."""
    with torch.inference_mode():
        return (F.normalize(model.encode_image(batch), dim=-1) @ text.T).softmax(-1).amax(-1)


def plain_loop(model: torch.nn.Module, files: Files, text: Tensor) -> np.ndarray:
    """Open, preprocess, stack, encode, compare, one batch after the other."""
    parts = []
    for start in range(0, len(files), BATCH):
        batch = torch.stack([files[index] for index in range(start, min(start + BATCH, len(files)))])
        parts.append(score(model, batch, text))
    return torch.cat(parts).numpy()


def with_loader(model: torch.nn.Module, files: Files, text: Tensor) -> np.ndarray:
    """The same, with two worker processes that read and preprocess ahead."""
    return torch.cat([score(model, batch, text) for batch in DataLoader(files, BATCH, num_workers=2)]).numpy()


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


def choose(n: int) -> list[Path]:
    """The benchmark pictures whose hashes come first: a mixture of all hands and groups."""
    manifest = emojishift.benchmark_pictures(emojishift.load())
    return manifest.select(manifest.table["sha256"].rank(method="first") <= n).paths()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("pictures", 512), ("threads", 2), ("rounds", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    paths = choose(chosen.pictures)
    guard = Guard.make(NAMES, "pocket", "mcm", threshold=0.2)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{assemble()}")
    model.eval()
    files, text = Files(paths, preprocess), guard.concepts.text
    reference = plain_loop(model, files, text)  # reads every file once, too

    with tempfile.TemporaryDirectory() as kept:
        ours(guard, paths, Path(kept))
        contenders: dict[str, Callable[[], np.ndarray]] = {
            OURS: lambda: cold(guard, paths),
            "open_clip, plain loop": lambda: plain_loop(model, files, text),
            "open_clip, DataLoader with 2 workers": lambda: with_loader(model, files, text),
            AGAIN: lambda: ours(guard, paths, Path(kept)),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(chosen.rounds):
            for name, work in contenders.items():
                start = time.perf_counter()
                scores = work()
                seconds[name].append(time.perf_counter() - start)
                np.testing.assert_allclose(scores, reference, atol=TOLERANCE, rtol=0, err_msg=f"scores of {name}")
                sure = np.abs(reference - guard.threshold.value) > TOLERANCE
                assert ((scores >= guard.threshold.value) == (reference >= guard.threshold.value))[sure].all()

    median = {name: statistics.median(took) for name, took in seconds.items()}
    print(
        f"{len(paths)} PNG files to decisions, float32, {chosen.threads} threads, median of {chosen.rounds}; "
        f"scores agree to {TOLERANCE:g}\n"
    )
    print(f"{'':40s}{'s per 1,000':>14s}{'ours is faster by':>20s}")
    for name, took in median.items():
        print(f"{name:40s}{1000 * took / len(paths):14.2f}{'' if name == AGAIN else f'{took / median[OURS]:20.2f}'}")


if __name__ == "__main__":
    main()
