"""Time `oodlib.embeddings.embed` against plain open_clip loops on the same files, in one run; features must agree.

    python benchmarks/embedding.py [--pictures 1024] [--threads 2] [--rounds 3]

The work is pictures per second from PNG files to L2-normalised float32 features, with PocketCLIP. The peers are what
one writes by hand with open_clip: a loop (open, preprocess, stack 64, encode), and the same with a `DataLoader` of two
worker processes. Ours also writes its store to a cold, temporary cache, hashes it and reads it back. All take turns,
and the median of the rounds counts. Loading the model is not counted, and every file has been read once before.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import open_clip
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from oodlib.datasets import emojishift
from oodlib.datasets.base import Manifest
from oodlib.embeddings import embed
from oodlib.encoders import load_encoder
from oodlib.pocket.assemble import assemble

BATCH = 64
TOLERANCE = 1e-4


class Files(Dataset):
    """Preprocessed pictures by index."""

    def __init__(self, paths: list[Path], preprocess: Callable[[Image.Image], Tensor]):
        self.paths, self.preprocess = paths, preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.preprocess(Image.open(self.paths[index]))


def encode(model: torch.nn.Module, batch: Tensor) -> Tensor:
    with torch.inference_mode():
        return F.normalize(model.encode_image(batch), dim=-1)


def plain_loop(model: torch.nn.Module, files: Files) -> Tensor:
    """Open, preprocess, stack, encode, one batch after the other."""
    parts = []
    for start in range(0, len(files), BATCH):
        batch = torch.stack([files[index] for index in range(start, min(start + BATCH, len(files)))])
        parts.append(encode(model, batch))
    return torch.cat(parts)


def with_loader(model: torch.nn.Module, files: Files) -> Tensor:
    """The same, with two worker processes that read and preprocess ahead."""
    return torch.cat([encode(model, batch) for batch in DataLoader(files, BATCH, num_workers=2)])


def choose(n: int) -> Manifest:
    """The benchmark pictures whose hashes come first: a mixture of all hands and groups."""
    manifest = emojishift.benchmark_pictures(emojishift.load())
    return manifest.select(manifest.table["sha256"].rank(method="first") <= n)


def timed(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds, and the features."""
    start = time.perf_counter()
    features = work()
    return time.perf_counter() - start, features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("pictures", 1024), ("threads", 2), ("rounds", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    manifest = choose(chosen.pictures)
    encoder = load_encoder("pocket")
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{assemble()}")
    model.eval()
    files = Files(manifest.paths(), preprocess)

    def ours() -> Tensor:
        with tempfile.TemporaryDirectory() as home:
            return embed(encoder, manifest, home=Path(home)).features

    contenders: dict[str, Callable[[], Tensor]] = {
        "oodlib.embeddings.embed": ours,
        "open_clip, plain loop": lambda: plain_loop(model, files),
        "open_clip, DataLoader with 2 workers": lambda: with_loader(model, files),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    reference = plain_loop(model, files)  # reads every file once, too
    for _ in range(chosen.rounds):
        for name, work in contenders.items():
            took, features = timed(work)
            seconds[name].append(took)
            torch.testing.assert_close(features, reference, atol=TOLERANCE, rtol=0, msg=f"features of {name} differ")

    rates = {name: len(manifest) / statistics.median(took) for name, took in seconds.items()}
    print(
        f"{len(manifest)} PNG files to features, float32, {chosen.threads} threads, median of {chosen.rounds}; "
        f"features agree to {TOLERANCE:g}\n"
    )
    print(f"{'':40s}{'images/s':>10s}{'ours is faster by':>20s}")
    for name, rate in rates.items():
        print(f"{name:40s}{rate:10.1f}{rates['oodlib.embeddings.embed'] / rate:20.2f}")


if __name__ == "__main__":
    main()
