"""Time CoOp on kept features against CoOp that encodes the shots' pictures in every step, in one run.

    python benchmarks/coop.py [--epochs 12] [--batch-size 32] [--lr 1] [--more 2] [--threads 2]

The work is CoOp with context vectors for each class, on two drawings of each animal and food (twemoji and openmoji),
with PocketCLIP. Three ways take turns:

* as published: every step opens its files, crops them at random, encodes them with plain open_clip, and runs all names
  through the text tower;
* kept, same steps: `oodlib.tuning` with the same batches, on features that were computed once;
* kept, one step an epoch: kept features leave room for all shots in one batch, so that the names go through the text
  tower once an epoch. It makes fewer steps, so it takes larger ones, and `--more` times as many epochs: enough to fit
  the shots as well as the published way does, which the column *loss* shows (the mean cross-entropy on the shots).

All share the pass of the text tower of `oodlib`. Accuracy is that of the *fluent* hands, which no way has seen; its
differences to the published way have 95 % intervals over concepts, 2,000 replicates. Encoding what is kept is timed
as well, and counted: spread over the epochs, and in the seconds of the whole training.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from _common import encode, plain_open_clip
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from oodlib.datasets import emojishift
from oodlib.embeddings import embed
from oodlib.encoders import load_encoder
from oodlib.tuning import Shots, take_shots
from oodlib.tuning._loop import cosine
from oodlib.tuning._prompts import Prompts, frozen, words

CONTEXT = "a simple drawing of one"
SIDE = 128
LR = 0.033  # of the two ways with small batches


@dataclass
class Way:
    """One way of training: its vectors, its optimizer, and the seconds of every epoch."""

    batch_size: int
    lr: float
    epochs: int
    vectors: Tensor
    features_of: object
    seconds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vectors = self.vectors.clone().requires_grad_()
        self.optimizer = torch.optim.SGD([self.vectors], self.lr, momentum=0.9, weight_decay=5e-4)

    def epoch(self, prompts: Prompts, labels: Tensor, scale: float) -> None:
        """Go through the shots once."""
        started, number = time.perf_counter(), len(self.seconds)
        parts = torch.randperm(len(labels)).split(self.batch_size)
        for k, rows in enumerate(parts):
            self.optimizer.param_groups[0]["lr"] = self.lr * cosine(number * len(parts) + k, self.epochs * len(parts))
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
        return encode(model, batch).clone()  # an inference tensor cannot be saved for the backward pass

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
    for option, default in (("epochs", 12), ("batch-size", 32), ("threads", 2)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--lr", type=float, default=1.0, help="of the way with one step an epoch")
    parser.add_argument("--more", type=int, default=2, help="its epochs for each epoch of the others")
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
    model, preprocess = plain_open_clip()

    start = words(encoder, CONTEXT)
    prompts = Prompts(encoder, test.names, len(start))
    start = start.repeat(len(test.names), 1, 1)
    steps, epochs = -(-len(shots) // chosen.batch_size), chosen.epochs
    few = {"batch_size": chosen.batch_size, "lr": LR, "epochs": epochs, "vectors": start}
    ways = {
        "as published": Way(**few, features_of=encoded_anew(drawn.paths(), model, preprocess)),
        "kept, same steps": Way(**few, features_of=kept(shots)),
        "kept, one step an epoch": Way(len(shots), chosen.lr, chosen.more * epochs, start, kept(shots)),
    }
    print(f"{len(shots)} shots of {len(test.names)} classes", end=", ")
    print(f"{steps} batches of {chosen.batch_size}, {chosen.threads} threads")
    with frozen(encoder.model):
        for number in range(epochs):
            for way in ways.values():
                for _ in range(way.epochs // epochs):
                    way.epoch(prompts, shots.labels, encoder.logit_scale)
            took = ", ".join(f"{way.seconds[-1]:.1f}" for way in ways.values())
            print(f"epoch {number + 1}: {took} s", file=sys.stderr, flush=True)

    features = embed(encoder, emojishift.benchmark_pictures(manifest)).of(test.id)
    labels = test.id.table["label"].map({name: k for k, name in enumerate(test.names)}).to_numpy()
    shown = shots.drawn(torch.arange(len(shots)), torch.Generator().manual_seed(0))
    base = ways["as published"]
    table = []
    for name, way in ways.items():
        text = prompts.encode_all(way.vectors.detach())
        loss = F.cross_entropy(encoder.logit_scale * shown @ text.T, shots.labels).item()
        correct = ((features @ text.T).argmax(1).numpy() == labels).astype(float)
        table.append((name, way, sum(way.seconds) + (0 if way is base else once), loss, correct))
    head = ("way", "epochs", "s an epoch", "ratio", "s in all", "loss", "accuracy")
    print(f"{head[0]:<26}" + "".join(f"{name:>12}" for name in head[1:]) + "   difference")
    for name, way, seconds, loss, correct in table:
        low, high = interval(correct - table[0][-1], labels)
        gain = 100 * (correct - table[0][-1]).mean()
        ratio = table[0][2] / base.epochs / (seconds / way.epochs)
        apart = "" if way is base else f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]"
        print(
            f"{name:<26}{way.epochs:>12}{seconds / way.epochs:>12.2f}{ratio:>12.1f}{seconds:>12.0f}{loss:>12.2f}"
            f"{100 * correct.mean():>12.1f}   {apart}"
        )
    print(f"encoding the kept features took {once:.1f} s, counted in the rows of the kept ways")


if __name__ == "__main__":
    main()
