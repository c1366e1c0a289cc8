"""Slopes: what one picture costs in seconds and bytes, measured on a few, and what that makes of very many.

An estimate is a straight line through one measured point. It knows nothing of a disk that fills, a network that is
shared or a machine that fails.
"""

from __future__ import annotations

import json
import statistics
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from oodlib.report.style import COLOURS, LINES, STYLE, WIDTH

HOUR = 3600
TIMES = {"1 s": 1 / HOUR, "1 min": 1 / 60, "1 h": 1.0, "1 day": 24.0, "1 year": 24 * 365.25, "100 years": 2400 * 365.25}


@dataclass(frozen=True)
class Slope:
    """Seconds that one picture takes.

    Parameters
    ----------
    seconds, low, high : float
        Median of the rounds, the fastest and the slowest.
    pictures : int
        Pictures in a round.
    """

    seconds: float
    low: float
    high: float
    pictures: int

    def hours(self, pictures: float, workers: float = 1) -> float:
        """Hours for so many pictures, on so many workers that share them evenly."""
        return self.seconds * pictures / workers / HOUR


def slope(work: Callable[[], object], pictures: int, rounds: int = 5) -> Slope:
    """Time a piece of work on so many pictures; a first round, in which caches fill, does not count."""
    work()
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        took.append((time.perf_counter() - start) / pictures)
    return Slope(statistics.median(took), min(took), max(took), pictures)


def photographs(folder: Path, count: int, size: tuple[int, int], seed: int = 0) -> list[Path]:
    """Write JPEG files with as much detail as photographs have: noise of every grain, the coarse the strongest.

    Parameters
    ----------
    folder : Path
        Must exist.
    count : int
    size : (int, int)
        Width and height in pixels.
    seed : int
        The same files for the same seed.
    """
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        pixels = np.full((size[1], size[0], 3), 128, dtype=np.float32)
        grain = max(size)
        while grain >= 1:
            shape = (max(2, size[1] // grain), max(2, size[0] // grain), 3)
            coarse = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
            strength = 0.6 * (grain / max(size)) ** 0.2
            pixels += strength * (np.asarray(coarse, dtype=np.float32) - 128)
            grain //= 4
        path = folder / f"{size[0]}x{size[1]}-{number:03d}.jpg"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(path)
    return paths


def read_gpu(path: Path) -> tuple[str, dict[str, tuple[Slope, int]]]:
    """What `benchmarks/throughput.py` measured on an accelerator.

    Parameters
    ----------
    path : Path
        The file that it wrote; `book/_data/README.md` names its fields.

    Returns
    -------
    (str, dict)
        The device's name, and for each stage its slope and the workers that share the pictures: reading on the cores
        beside the device, each model's tower at its fastest, the way from files to features at the same precision, and
        scoring. ("", {}) where there is no such file.
    """
    if not path.is_file():
        return "", {}
    found = json.loads(path.read_text(encoding="utf-8"))
    device, cores = found["device"], found["cores"]
    stages = {f"read and scale, {cores} cores beside one {device}": (Slope(**found["decode"]), cores)}
    for model in dict.fromkeys(entry["model"] for entry in found["encode"]):
        rates = [entry for entry in found["encode"] if entry["model"] == model]
        best = max(rates, key=lambda entry: entry["images_per_second"])
        stages[f"image tower, {model}, {best['precision']}, one {device}"] = (_of_rate(best, best["batch"]), 1)
        for entry in found["end_to_end"]:
            if (entry["model"], entry["precision"]) == (model, best["precision"]):
                stage = f"from files to features, read by {found['readers']}, {model}, one {device}"
                stages[stage] = (_of_rate(entry, entry["files"]), 1)
    for entry in found["score"]:
        what = f"score, {entry['classes']:,} names" + (f" and {entry['words']:,} words" if entry["words"] else ", MCM")
        one = Slope(entry["seconds"], entry["low"], entry["high"], entry["pictures"])
        stages[f"{what}, one {device}"] = (one, 1)
    return device, stages


def _of_rate(entry: dict[str, float], pictures: float) -> Slope:
    """From pictures a second to seconds a picture; the fastest round is the lowest time."""
    return Slope(1 / entry["images_per_second"], 1 / entry["high"], 1 / entry["low"], int(pictures))


def words(amount: float, unit: str) -> str:
    """An amount with two digits that count and the unit that suits it: seconds up to years, bytes up to petabytes.

    Examples
    --------
    >>> words(5400, "s"), words(3e8, "s"), words(2.5e12, "B")
    ('1.5 h', '9.5 years', '2.5 TB')
    """
    ladders = {
        "s": ((365.25 * 24 * HOUR, "years"), (24 * HOUR, "days"), (HOUR, "h"), (60, "min"), (1, "s"), (1e-3, "ms")),
        "B": ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")),
    }
    size, name = next((step for step in ladders[unit] if amount >= step[0]), ladders[unit][-1])
    value = amount / size
    return f"{value:,.0f} {name}" if value >= 10 else f"{value:.1f} {name}"


def lines(slopes: Mapping[str, tuple[Slope, float]], marks: Mapping[str, float]) -> Figure:
    """Pictures against time, both logarithmic: a line for every stage, its band from the fastest round to the slowest.

    Parameters
    ----------
    slopes : mapping of str to (Slope, float)
        What a line is called, its slope, and the workers that share the pictures.
    marks : mapping of str to float
        Numbers of pictures to mark on the axis, and what they are called.
    """
    counts = np.array([min(marks.values()) / 100, max(marks.values()) * 2])
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.8), layout="constrained", dpi=100)
        axes = figure.add_subplot(xscale="log", yscale="log", xlabel="pictures", ylabel="time")
        for k, (name, (slope_, workers)) in enumerate(slopes.items()):
            colour, style = COLOURS[k % len(COLOURS)], LINES[k % len(LINES)]
            axes.plot(
                counts,
                [slope_.hours(n, workers) for n in counts],
                color=colour,
                linestyle=style,
                label=textwrap.fill(name, 48),
            )
            low, high = (counts * seconds / workers / HOUR for seconds in (slope_.low, slope_.high))
            axes.fill_between(counts, low, high, color=colour, alpha=0.15, linewidth=0)
        limits = {"xlim": axes.get_xlim(), "ylim": axes.get_ylim()}
        for axis, ticks in ((axes.xaxis, marks), (axes.yaxis, TIMES)):
            axis.set_ticks(list(ticks.values()), list(ticks))
            axis.set_ticks([], minor=True)
        axes.set(**limits)  # ticks have widened them
        figure.legend(loc="outside lower left")
    return figure
