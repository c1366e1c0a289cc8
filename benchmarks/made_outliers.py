"""Time training against made outliers on kept features against the same training that runs the image tower every step.

    python benchmarks/made_outliers.py [--epochs 2] [--source vos] [--rounds 5] [--threads 2]

Two measurements, each side by side in one run:

* The same training (`oodlib.tuning.MadeOutliers`, the same seed, batches and outliers) on features that were computed
  once, and on pictures that every step opens and encodes with plain open_clip, as released codes do. Its tower is
  frozen, so nothing is added for a backward pass through it. Both rows say how many ID pictures of the hands that no
  shot is by are named right, and the difference has a 95 % interval over concepts, 2,000 replicates.
* NPOS's search for the neighbours of its candidates, against the bare product of the matrices that it compares.
"""

import argparse
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from _common import encode, plain_open_clip, take_turns
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.datasets import emojishift
from oodlib.embeddings import embed, embed_texts
from oodlib.encoders import load_encoder
from oodlib.prompts.sets import templates
from oodlib.tuning import Shots, tune
from oodlib.tuning.sources.npos import kth_distances


@dataclass(frozen=True, eq=False)
class EncodedAnew(Shots):
    """Shots whose pictures are opened and encoded whenever a step asks for them."""

    paths: list = field(default_factory=list)
    model: object = None
    preprocess: object = None

    def drawn(self, rows: Tensor, generator: torch.Generator, part: str = "features") -> Tensor:
        super().drawn(rows, generator, part)  # so that both ways draw the same numbers
        batch = torch.stack([self.preprocess(Image.open(self.paths[row]).convert("RGB")) for row in rows.tolist()])
        return encode(self.model, batch).clone()


def interval(gain: np.ndarray, concepts: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean gain in points, over concepts."""
    sums = np.bincount(concepts, weights=gain), np.bincount(concepts)
    drawn = np.random.default_rng(0).multinomial(len(sums[0]), np.full(len(sums[0]), 1 / len(sums[0])), size=2000)
    return tuple(100 * np.quantile((drawn @ sums[0]) / (drawn @ sums[1]), [0.025, 0.975]))


def training(chosen: argparse.Namespace) -> None:
    """Steps per second and ID accuracy of both ways."""
    manifest, encoder = emojishift.load(), load_encoder("pocket")
    test = emojishift.benchmarks(manifest, home_hands=("fluent-emoji", "fluent-emoji-flat"))["animals-food"]
    drawn = emojishift.benchmarks(manifest, home_hands=("twemoji", "openmoji"))["animals-food"].id
    drawn = drawn.select(drawn.table["label"].isin(test.names))
    kept = embed(encoder, emojishift.benchmark_pictures(manifest))
    place = {name: k for k, name in enumerate(test.names)}
    shown = torch.tensor([place[name] for name in drawn.table["label"]])
    text = embed_texts(encoder, test.names, templates("drawings"))
    concepts = Concepts(test.names, text, logit_scale=encoder.logit_scale)
    features = kept.of(drawn)[None]
    model, preprocess = plain_open_clip()
    ways = {
        "image tower every step": EncodedAnew(features, shown, paths=drawn.paths(), model=model, preprocess=preprocess),
        "kept features": Shots(features, shown),
    }
    pictures, labels = kept.of(test.id), test.id.table["label"].map(place).to_numpy()
    rows = {}
    for name, shots in ways.items():
        epochs = chosen.epochs if name != "kept features" else chosen.epochs * 5  # its steps are short: more to time
        seconds = []
        for passes in (epochs, 0):  # making the outliers is the same for both, and no step
            started = time.perf_counter()
            tune("made_outliers", encoder, concepts, shots, source=chosen.source, epochs=passes)
            seconds.append(time.perf_counter() - started)
        tuned = tune("made_outliers", encoder, concepts, shots, source=chosen.source, epochs=chosen.epochs)
        right = tuned.concepts.match(tuned.transform(pictures)).argmax(1).numpy() == labels
        steps = len(tuned.losses) * epochs // chosen.epochs
        rows[name] = (steps / (seconds[0] - seconds[1]), right.astype(float))
    base = rows["image tower every step"]
    print(f"{len(shown)} shots of {len(test.names)} classes, {chosen.threads} threads, outliers by {chosen.source}")
    print(f"{'way':<26}{'steps a second':>16}{'ratio':>8}{'accuracy':>10}   difference")
    for name, (speed, right) in rows.items():
        low, high = interval(right - base[1], labels)
        apart = f"{100 * (right - base[1]).mean():+.1f} [{low:+.1f}, {high:+.1f}]"
        print(f"{name:<26}{speed:>16.2f}{speed / base[0]:>8.1f}{100 * right.mean():>10.1f}   {apart}")


def neighbours(rounds: int) -> None:
    """Seconds of NPOS's selection for one class at its released sizes, and of the product that it needs."""
    generator = torch.Generator().manual_seed(0)
    made, queue = (F.normalize(torch.randn(n, 512, generator=generator), dim=1) for n in (4500, 1000))
    contenders = {"product alone": lambda: made @ queue.T, "k-th neighbours": lambda: kth_distances(made, queue, 400)}
    # The same number of rows from both: the neighbours are those of all candidates.
    seconds = take_turns(contenders, rounds, lambda _, result: len(result) == len(made))
    print(f"4,500 candidates, a queue of 1,000, 512 dimensions, median of {rounds}")
    for name, took in seconds.items():
        print(f"{name:<26}{1000 * took:>13.1f} ms{took / seconds['product alone']:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("epochs", 2), ("rounds", 5), ("threads", 2)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--source", default="vos", help="of the outliers")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    training(chosen)
    neighbours(chosen.rounds)


if __name__ == "__main__":
    main()
