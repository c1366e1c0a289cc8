"""What benchmarks on picture files share: the pictures, the loops one writes by hand with open_clip, taking turns."""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import open_clip
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from oodlib.datasets import emojishift
from oodlib.datasets.base import Manifest
from oodlib.pocket.assemble import assemble

BATCH = 64
TOLERANCE = 1e-4
Result = TypeVar("Result")


class Files(Dataset):
    """Preprocessed pictures by index."""

    def __init__(self, paths: list[Path], preprocess: Callable[[Image.Image], Tensor]):
        self.paths, self.preprocess = paths, preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.preprocess(Image.open(self.paths[index]))

    def one_by_one(self) -> Iterator[Tensor]:
        """Batches by a plain loop."""
        for start in range(0, len(self), BATCH):
            yield torch.stack([self[index] for index in range(start, min(start + BATCH, len(self)))])

    def by_workers(self) -> Iterator[Tensor]:
        """The same batches, read and preprocessed ahead by two processes."""
        return iter(DataLoader(self, BATCH, num_workers=2))


def choose(n: int) -> Manifest:
    """The benchmark pictures whose hashes come first: a mixture of all hands and groups."""
    manifest = emojishift.benchmark_pictures(emojishift.load())
    return manifest.select(manifest.table["sha256"].rank(method="first") <= n)


def plain_open_clip() -> tuple[torch.nn.Module, Callable[[Image.Image], Tensor]]:
    """PocketCLIP as open_clip loads it, and its preprocessing."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{assemble()}")
    return model.eval(), preprocess


def encode(model: torch.nn.Module, batch: Tensor) -> Tensor:
    """Features of length one."""
    with torch.inference_mode():
        return F.normalize(model.encode_image(batch), dim=-1)


def take_turns(
    contenders: dict[str, Callable[[], Result]], rounds: int, check: Callable[[str, Result], object]
) -> dict[str, float]:
    """Median seconds of each contender; what each returns is checked in every round."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            start = time.perf_counter()
            result = work()
            seconds[name].append(time.perf_counter() - start)
            check(name, result)
    return {name: statistics.median(took) for name, took in seconds.items()}
