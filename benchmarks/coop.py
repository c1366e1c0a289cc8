"""Time CoOp on kept features against CoOp that encodes the shots' pictures in every step, in one run.

    python benchmarks/coop.py [--epochs 15] [--batch 32] [--rate 0.5] [--threads 2]

The work is CoOp with context vectors for each class, on two drawings of each animal and food (twemoji and openmoji),
with PocketCLIP. Three ways take turns, an epoch each:

* as published: every step opens its files, crops them at random, encodes them with plain open_clip, and runs all names
  through the text tower;
* kept, same steps: `oodlib.tuning` with the same batches, on features that were computed once;
* kept, one step an epoch: kept features leave room for all shots in one batch, so that the names go through the text
  tower once an epoch. Its rate is higher by the number of steps that it saves (the linear scaling rule of Goyal et al.,
  2017), so all three move equally far.

All share the pass of the text tower of `oodlib`. Accuracy is that of the *fluent* hands, which no way has seen; its
differences to the published way have 95 % intervals over concepts, 2,000 replicates. Encoding what is kept is timed
as well, and counted.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from oodlib.datasets import emojishift
from oodlib.embeddings import embed
from oodlib.encoders import load_encoder
from oodlib.pocket.assemble import assemble
from oodlib.tuning import Shots, take_shots
from oodlib.tuning._loop import cosine
from oodlib.tuning._prompts import Prompts, frozen, words

CONTEXT = "a simple drawing of one"
SIDE = 128


@dataclass
class Way:
    """One way of training: its vectors, its optimizer, and the seconds of every epoch."""

    batch: int
    rate: float
    vectors: Tensor
    features_of: object
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vectors = self.vectors.clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.vectors], self.rate, momentum=0.9, weight_decay=5e-4)

    def epoch(self, number: int, epochs: int, prompts: Prompts, labels: Tensor, scale: float) -> None:
        """Go through the shots once."""
        started = time.perf_counter()
        parts = torch.randperm(len(labels)).split(self.batch)
        for k, rows in enumerate(parts):
            self.optimizer.param_groups[0]["lr"] = self.rate * cosine(number * len(parts) + k, epochs * len(parts))
            logits = scale * self.features_of(rows) @ prompts.encode(self.vectors).T
            self.optimizer.zero_grad()
            F.cross_entropy(logits, labels[rows]).backward()
            self.optimizer.step()
        self.seconds.append(time.perf_counter() - started)


def encoded_anew(paths: list, model: torch.nn.Module, preprocess: object) -> object:
    """Features of some shots, from their files, cropped at random."""
    crop = v2.Compose([v2.RandomResizedCrop(SIDE, scale=(0.5, 1.0)), v2.RandomHorizontalFlip()])

    def features_of(rows: Tensor) -> Tensor:
        batch = torch.stack([preprocess(crop(Image.open(paths[row]).convert("RGB"))) for row in rows.tolist()])
        with torch.no_grad():
            return F.normalize(model.encode_image(batch), dim=-1)

    return features_of


def kept(shots: Shots) -> object:
    """Features of some shots, one of the kept views each."""
    generator = torch.Generator().manual_seed(0)
    return lambda rows: shots.drawn(rows, generator)


def interval(gain: np.ndarray, concepts: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean gain in points, over concepts."""
    sums = np.bincount(concepts, weights=gain), np.bincount(concepts)
    drawn = np.random.default_rng(0).multinomial(len(sums[0]), np.full(len(sums[0]), 1 / len(sums[0])), size=2000)
    return tuple(100 * np.quantile((drawn @ sums[0]) / (drawn @ sums[1]), [0.025, 0.975]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("epochs", 15), ("batch", 32), ("threads", 2)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--rate", type=float, default=0.5, help="of the way with one step an epoch")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    manifest, encoder = emojishift.load(), load_encoder("pocket")
    test = emojishift.benchmarks(manifest, home_hands=("fluent-emoji", "fluent-emoji-flat"))["animals-food"]
    drawn = emojishift.benchmarks(manifest, home_hands=("twemoji", "openmoji"))["animals-food"].id
    drawn = drawn.select(drawn.table["label"].isin(test.names))
    started = time.perf_counter()
    shots = take_shots(encoder, drawn, test.names, views=4)
    once = time.perf_counter() - started
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{assemble()}")
    model.eval()

    start = words(encoder, CONTEXT)
    prompts = Prompts(encoder, test.names, len(start))
    start = start.repeat(len(test.names), 1, 1)
    steps = -(-len(shots) // chosen.batch)
    ways = {
        "as published": Way(chosen.batch, chosen.rate / steps, start, encoded_anew(drawn.paths(), model, preprocess)),
        "kept, same steps": Way(chosen.batch, chosen.rate / steps, start, kept(shots)),
        "kept, one step an epoch": Way(len(shots), chosen.rate, start, kept(shots)),
    }
    print(f"{len(shots)} shots of {len(test.names)} classes, {chosen.epochs} epochs, {chosen.threads} threads")
    with frozen(encoder.model):
        for number in range(chosen.epochs):
            for way in ways.values():
                way.epoch(number, chosen.epochs, prompts, shots.labels, encoder.logit_scale)
            took = ", ".join(f"{way.seconds[-1]:.1f}" for way in ways.values())
            print(f"epoch {number + 1}: {took} s", file=sys.stderr, flush=True)

    features = embed(encoder, emojishift.benchmark_pictures(manifest)).of(test.id)
    labels = test.id.table["label"].map({name: k for k, name in enumerate(test.names)}).to_numpy()
    correct = {
        name: ((features @ prompts.encode_all(way.vectors.detach()).T).argmax(1).numpy() == labels).astype(float)
        for name, way in ways.items()
    }
    base = sum(ways["as published"].seconds)
    print(f"{'way':<26}{'steps':>6}{'s an epoch':>12}{'ratio':>8}{'accuracy':>10}   difference")
    for name, way in ways.items():
        seconds = sum(way.seconds) + (0 if name == "as published" else once)
        low, high = interval(correct[name] - correct["as published"], labels)
        gain = 100 * (correct[name].mean() - correct["as published"].mean())
        apart = "" if name == "as published" else f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]"
        print(
            f"{name:<26}{-(-len(shots) // way.batch):>6}{seconds / chosen.epochs:>12.2f}{base / seconds:>8.1f}"
            f"{100 * correct[name].mean():>10.1f}   {apart}"
        )
    print(f"encoding the kept features took {once:.1f} s, counted in the rows of the kept ways")


if __name__ == "__main__":
    main()
