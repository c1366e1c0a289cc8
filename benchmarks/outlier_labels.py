"""Time and weigh the methods with outlier labels at full size: 50,000 pictures, 1,000 names, 70,000 outlier words.

    python benchmarks/outlier_labels.py [--shrink 50] [--threads 2] [--pictures 50000] [--labels 70000] ...

Features are random, in groups as those of words are, so the scores mean nothing; how long they take and what memory
they need depends on the sizes alone. Each detector has a process of its own. "over the inputs" is the peak of its
resident memory (`resource.getrusage`) minus the peak before the inputs were made and the bytes of the inputs: all that
making `Concepts`, `fit` and `score_samples` add. The bound is 1 GiB. `--shrink` divides the counts.

"of the product" is what a score costs beside the matrix product alone, of the same pictures with the columns that the
detector compares them with, into memory that is there already: both are timed in turn, block by block, in the blocks
of `score_samples` (`--pairs` of them, over and over if there are fewer), and it is the median of their ratios.
"""

import argparse
import itertools
import multiprocessing
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector

DETECTORS = ("neg_label", "csp", "outlier_softmax", "ole", "renyi_neg", "dnm")
BOUND = 2**10  # MiB
UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss in one MiB


def peak() -> float:
    """The largest resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / UNIT


def grouped(n: int, dim: int, seed: int) -> Tensor:
    """Make unit rows around one of about a thousand centres, a block at a time so that making them leaves no peak."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(min(n, 1000), dim, generator=torch.Generator().manual_seed(0))
    rows = torch.empty(n, dim)
    for block in rows.split(4096):
        near = centres[torch.randint(len(centres), (len(block),), generator=draw)]
        F.normalize(near + torch.randn(len(block), dim, generator=draw), dim=-1, out=block)
    return rows


def beside_product(detector: Any, images: Tensor, pairs: int) -> float:
    """How many times as long as the bare product with what it is compared with the score of a block takes."""
    bank = detector.bank_ if hasattr(detector, "bank_") else detector.outlier_text_
    columns = torch.cat([detector.text_, bank])
    blocks = [block for block in detector.blocks(images) if len(block) == len(detector.blocks(images)[0])]
    cosines = torch.empty(len(blocks[0]), len(columns))
    ratios = []
    for block in itertools.islice(itertools.cycle(blocks), pairs + 1):
        start = time.perf_counter()
        torch.mm(block, columns.T, out=cosines)
        middle = time.perf_counter()
        detector.score_block(block)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return statistics.median(ratios[1:])  # the first has met cold memory


def measure(name: str, sizes: argparse.Namespace) -> tuple[float, float, float, float]:
    """Seconds of `fit`, seconds of `score_samples`, MiB over the inputs, and the score's share of the bare product."""
    torch.set_num_threads(sizes.threads)
    detector = get_detector(name)
    before = peak()
    images = grouped(sizes.pictures, sizes.dim, seed=1)
    concepts = Concepts(
        names=[f"class {i}" for i in range(sizes.names)],
        text=grouped(sizes.names, sizes.dim, seed=2),
        outlier_names=[f"word {i}" for i in range(sizes.labels)],
        outlier_text=grouped(sizes.labels, sizes.dim, seed=3),
    )
    assert concepts.outlier_text is not None
    inputs = sum(t.numel() * t.element_size() for t in (images, concepts.text, concepts.outlier_text)) / 2**20
    start = time.perf_counter()
    detector.fit(concepts)
    learned = time.perf_counter()
    scores = detector.score_samples(images)
    end = time.perf_counter()
    assert scores.shape == (sizes.pictures,)
    assert scores.isfinite().all()
    memory = peak() - before - inputs
    return learned - start, end - learned, memory, beside_product(detector, images, sizes.pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    counts = {"pictures": 50_000, "names": 1_000, "labels": 70_000}
    for option, default in {**counts, "dim": 512, "threads": 2, "shrink": 1, "pairs": 15}.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=DETECTORS)
    sizes = parser.parse_args()
    for option in counts:
        setattr(sizes, option, max(1, getattr(sizes, option) // sizes.shrink))
    for pool in ("OMP", "OPENBLAS", "MKL"):  # read by scikit-learn and NumPy when a fresh interpreter loads them
        os.environ[f"{pool}_NUM_THREADS"] = str(sizes.threads)
    print(
        f"{sizes.pictures} pictures, {sizes.names} names, {sizes.labels} outlier labels, D = {sizes.dim}, float32, "
        f"{sizes.threads} threads\n"
    )
    print(
        f"{'':20s}{'fit (s)':>10s}{'score (s)':>12s}{'pictures/s':>12s}{'over the inputs (MiB)':>24s}"
        f"{'of the product':>17s}"
    )
    for name in sizes.detectors:
        # A fresh interpreter: a peak never falls, so a second detector in one process would hide behind the first.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as worker:
            fit, score, memory, ratio = worker.submit(measure, name, sizes).result()
        print(f"{name:20s}{fit:10.2f}{score:12.2f}{sizes.pictures / score:12.0f}{memory:24.0f}{ratio:17.2f}")
        if memory > BOUND:
            raise SystemExit(f"{name} needs more than {BOUND} MiB over its inputs")


if __name__ == "__main__":
    main()
