"""How well a score tells in-distribution (ID) pictures from out-of-distribution (OOD) ones.

Every metric here is a function of counts: how many ID and how many OOD pictures reach each distinct score. Each set
is sorted once, so all metrics together cost O(n log n). A bootstrap replicate only changes how often each picture
counts and never sorts again; the counting itself is in `oodlib.evaluation.ranking`.

Larger scores mean *more in-distribution*. Two conventions that papers disagree on are named parameters:

``cut``
    Where to read the false-positive rate. ``"first"`` takes the strictest cut whose recall is at least 95 % (OpenOOD,
    pytorch-ood). ``"nearest"`` takes the cut whose recall is closest to 95 %, above or below (the code of MCM and most
    CLIP papers); among cuts of equal recall below 100 % it takes the most lenient one.
``aupr``
    ``"step"`` is average precision, as scikit-learn has it. ``"trapezoid"`` joins the points by straight lines
    (OpenOOD), which is a little optimistic.

AUROC, the false-positive rates and the detection accuracy are ratios of whole numbers, rounded once. AUPR is a sum of
rounded terms, whose last digit (1e-15) depends on the order of summation.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, get_args

import numpy as np

from oodlib.arrays import as_numpy, plain
from oodlib.errors import OodlibError
from oodlib.evaluation.ranking import METRICS, Array, Aupr, Cut, Ranking

_CELLS = 2**16  # pictures times replicates worked on at once: few enough to stay in a core's own cache


def ood_metrics(id_scores: Any, ood_scores: Any, *, cut: Cut = "first", aupr: Aupr = "step") -> dict[str, float]:
    """Compute all metrics of one detector on one pair of sets. Ties are handled exactly.

    Parameters
    ----------
    id_scores, ood_scores : array-like, shape (n,) and (m,)
        Scores, larger = more ID: NumPy arrays, tensors or lists.
    cut : {"first", "nearest"}
        The cut at 95 % recall, see the top of this module.
    aupr : {"step", "trapezoid"}
        The area under the precision-recall curve, see the top of this module.

    Returns
    -------
    dict of float, all between 0 and 1
        ``auroc``: chance that a random ID picture scores above a random OOD picture, ties counting one half.
        ``aupr_in``, ``aupr_out``: area under the precision-recall curve with ID, or OOD, as the positive class.
        ``fpr95``: keep 95 % of ID; the share of OOD that is accepted too (MCM and most CLIP papers).
        ``fpr95_ood``: catch 95 % of OOD; the share of ID that is rejected too (OpenOOD, pytorch-ood).
        ``detection_accuracy``: the best mean of "ID kept" and "OOD caught" over all cuts (equal priors).

    Raises
    ------
    OodlibError
        If scores are empty, not one-dimensional, not numbers, NaN or infinite, or an option is unknown.

    References
    ----------
    Liang et al., Enhancing the Reliability of Out-of-distribution Image Detection in Neural Networks, ICLR 2018
    (detection error, which is one minus the detection accuracy).

    Examples
    --------
    >>> metrics = ood_metrics([0.9, 0.8, 0.7, 0.4], [0.6, 0.3, 0.2])
    >>> round(metrics["auroc"], 4), round(metrics["fpr95"], 4), metrics["fpr95_ood"]
    (0.9167, 0.3333, 0.25)
    """
    _check_options(cut, aupr)
    return _evaluate(as_scores(id_scores, "id_scores"), as_scores(ood_scores, "ood_scores"), cut, aupr)


def fpr_at_recall(positive: Any, negative: Any, recall: float = 0.95, *, cut: Cut = "first") -> float:
    """Return the share of negatives accepted at the cut that keeps a share `recall` of the positives.

    `positive` and `negative` are scores, larger = more positive. For OOD as the positive class negate both.

    >>> fpr_at_recall([4, 3, 2, 1], [2.5, 0.5], recall=0.75)
    0.5
    """
    _check_options(cut, "step")
    if not 0 < recall <= 1:
        raise OodlibError(f"recall is {recall}: give a share above 0 and at most 1, such as 0.95.")
    pos, neg = as_scores(positive, "positive"), as_scores(negative, "negative")
    side, _ = Ranking.of(pos, neg).sides(np.ones((1, len(pos))), np.ones((1, len(neg))))
    return float(side.false_positives(recall, cut)[0])


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Metrics of several detectors on the same pictures, with paired bootstrap replicates.

    Attributes
    ----------
    values : dict
        ``values[detector][metric]`` on the scores themselves, as `ood_metrics` gives them.
    replicates : dict
        ``replicates[detector]``, shape (n_boot, 6): one row a replicate, one column a metric in the order of `METRICS`.
        Row b of every detector was computed on the same resampled pictures.
    level : float
        Coverage of the intervals.
    """

    values: dict[str, dict[str, float]]
    replicates: dict[str, Array]
    level: float

    @classmethod
    def mean(cls, parts: Sequence[Self]) -> Self:
        """The mean of every metric over several OOD sets of one ID set.

        Replicate b of each part is of the same ID pictures (the same seed draws them), so the mean of these
        replicates is one of the mean. Each part needs an `ood_stream` of its own (see `bootstrap_metrics`).
        """
        first = parts[0]
        return cls(
            {name: {m: float(np.mean([p.values[name][m] for p in parts])) for m in METRICS} for name in first.values},
            {name: np.mean([part.replicates[name] for part in parts], axis=0) for name in first.replicates},
            first.level,
        )

    def interval(self, detector: str) -> dict[str, tuple[float, float]]:
        """Return the percentile interval (low, high) of each metric of a detector.

        That of ``detection_accuracy`` is (NaN, NaN), here and in `difference`: it is the best of many cuts on these
        pictures, a resample's best is better still, and the percentiles of such maxima lie above the truth in up to a
        quarter of all samples where 5 % are said.
        """
        return self._percentiles(self._of(detector))

    def difference(self, first: str, second: str) -> dict[str, tuple[float, float, float]]:
        """Return (value, low, high) of `first` minus `second` for each metric, on the same resampled pictures.

        An interval that leaves out 0 says that the pictures at hand tell the two detectors apart, even where their own
        intervals overlap.
        """
        bounds = self._percentiles(self._of(first) - self._of(second))
        return {m: (self.values[first][m] - self.values[second][m], *bounds[m]) for m in METRICS}

    def _of(self, detector: str) -> Array:
        if detector not in self.replicates:
            raise OodlibError(f"no scores of {detector!r} here: choose from {', '.join(self.replicates)}.")
        return self.replicates[detector]

    def _percentiles(self, rows: Array) -> dict[str, tuple[float, float]]:
        bounds = np.quantile(rows, [(1 - self.level) / 2, (1 + self.level) / 2], axis=0)
        found = {m: (float(low), float(high)) for m, low, high in zip(METRICS, *bounds, strict=True)}
        return found | {"detection_accuracy": (float("nan"), float("nan"))}


def bootstrap_metrics(
    scores: Mapping[str, tuple[Any, Any]],
    *,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    ood_stream: int = 0,
    cut: Cut = "first",
    aupr: Aupr = "step",
) -> Bootstrap:
    """Bootstrap every metric of every detector, all on the same resampled pictures.

    ID and OOD pictures are drawn with replacement separately, so the set sizes stay what they are. Because the draws
    are shared, differences between detectors have intervals too. Pictures are drawn one by one: where they come in
    families (one concept, many hands), the true uncertainty is larger than these intervals say. So it is with few
    pictures: with 30 of each set, intervals of AUPR hold the truth in about 85 of 100 samples, from 60 on in about 94.

    Parameters
    ----------
    scores : mapping of detector name to (id_scores, ood_scores)
        Larger = more ID; picture i is at place i for every detector.
    n_boot : int
        Number of replicates.
    level : float
        Coverage of the percentile intervals.
    seed : int
        The same seed draws the same pictures, whatever the detectors and however many there are.
    ood_stream : int
        Which of the seed's streams draws the OOD pictures. Two sets of one size drawn from the same stream move
        together, which is wrong where their metrics are averaged: give each of these sets another number.
    cut, aupr
        As in `ood_metrics`.

    Returns
    -------
    Bootstrap

    Raises
    ------
    OodlibError
        As `ood_metrics`, and if the detectors do not score the same number of pictures.

    Examples
    --------
    >>> a, b = ([3.0, 2.0, 4.0], [1.0, 2.5]), ([3.0, 1.0, 2.0], [1.5, 2.5])
    >>> boot = bootstrap_metrics({"a": a, "b": b}, n_boot=200)
    >>> [round(x, 2) for x in boot.difference("a", "b")["auroc"]]
    [0.33, 0.0, 0.67]
    """
    _check_options(cut, aupr)
    if n_boot < 1 or not 0 < level < 1:
        raise OodlibError(f"n_boot={n_boot}, level={level}: n_boot must be at least 1 and level between 0 and 1.")
    arrays = {
        name: (as_scores(pair[0], f"ID scores of {name!r}"), as_scores(pair[1], f"OOD scores of {name!r}"))
        for name, pair in scores.items()
    }
    sizes = {(len(id_scores), len(ood_scores)) for id_scores, ood_scores in arrays.values()}
    if len(sizes) != 1:
        listed = "; ".join(f"{name}: {len(i)} ID, {len(o)} OOD" for name, (i, o) in arrays.items()) or "none"
        raise OodlibError(f"Paired intervals need detectors that scored the same pictures, but got {listed}.")
    rankings = {name: Ranking.of(*pair) for name, pair in arrays.items()}
    replicates: dict[str, list[Array]] = {name: [] for name in rankings}
    for weights in _resamples(*sizes.pop(), n_boot, seed, ood_stream):
        for name, ranking in rankings.items():
            replicates[name].append(ranking.evaluate(*weights, cut, aupr))
    return Bootstrap(
        values={name: _evaluate(*pair, cut, aupr) for name, pair in arrays.items()},
        replicates={name: np.concatenate(blocks) for name, blocks in replicates.items()},
        level=level,
    )


def _resamples(n_id: int, n_ood: int, n_boot: int, seed: int, ood_stream: int) -> Iterator[tuple[Array, Array]]:
    """Yield how often each picture is drawn, a few replicates at a time: (R, n_id) and (R, n_ood)."""
    # One stream for each set, so that the draws do not depend on the size of the blocks.
    drawn = _drawn(n_id, n_boot, seed, 0), _drawn(n_ood, n_boot, seed, 1 + ood_stream)
    block = max(1, _CELLS // (n_id + n_ood))
    for start in range(0, n_boot, block):
        id_weights, ood_weights = (times[start : start + block].astype(np.float64) for times in drawn)
        yield id_weights, ood_weights


@functools.lru_cache(maxsize=8)  # an ID set is drawn beside each OOD set, and all of them for every table of a page
def _drawn(n: int, n_boot: int, seed: int, stream: int) -> Array:
    """How often each of n pictures is drawn in each replicate, by one stream of the seed: (n_boot, n)."""
    draw = np.random.default_rng(seed).spawn(stream + 1)[stream]
    times = np.empty((n_boot, n), np.uint8)  # of n draws, 256 of one picture would need luck without parallel
    block = max(1, _CELLS // n)
    for start in range(0, n_boot, block):
        rows = np.arange(min(block, n_boot - start))[:, None]
        places = (draw.integers(n, size=(len(rows), n)) + n * rows).ravel()
        times[start : start + block] = np.bincount(places, minlength=n * len(rows)).reshape(len(rows), n)
    return times


def _evaluate(id_scores: Array, ood_scores: Array, cut: Cut, aupr: Aupr) -> dict[str, float]:
    weights = np.ones((1, len(id_scores))), np.ones((1, len(ood_scores)))
    values = Ranking.of(id_scores, ood_scores).evaluate(*weights, cut, aupr)[0]
    return dict(zip(METRICS, values.tolist(), strict=True))


def as_scores(values: Any, what: str) -> Array:
    """Return `values` as a float64 array of shape (n,), or say what is wrong with them."""
    array = as_numpy(plain(values, what))
    if array.dtype.kind == "c":
        raise OodlibError(f"{what} are complex numbers, which have no order: pass real ones.")
    array = array.astype(np.float64, copy=False)
    if array.ndim != 1:
        raise OodlibError(f"{what} has shape {array.shape}: pass one score for each picture, shape (n,).")
    if array.size == 0:
        raise OodlibError(f"{what} is empty: pass the score of at least one picture.")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise OodlibError(
            f"{what} has {bad.size} NaN or infinite values, the first at place {bad[0]}: leave those pictures out "
            "or repair the score."
        )
    return array


def _check_options(cut: str, aupr: str) -> None:
    for name, given, known in (("cut", cut, get_args(Cut)), ("aupr", aupr, get_args(Aupr))):
        if given not in known:
            raise OodlibError(f"{name}={given!r} is unknown: choose from {', '.join(map(repr, known))}.")
