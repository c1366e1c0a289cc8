"""The counting under `metrics`: two sets of scores become ranks once, then every metric is a sum over counts.

ID and OOD scores are sorted once. Resampling pictures only changes how often each one counts, so a bootstrap replicate
needs no sort: it re-weights the same ranks. All functions work on R weightings at once, one a row.

Shapes: n ID pictures with A distinct scores, m OOD pictures with B distinct scores, R weightings.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Cut = Literal["first", "nearest"]
Aupr = Literal["step", "trapezoid"]
Array = NDArray[Any]

METRICS = ("auroc", "aupr_in", "aupr_out", "fpr95", "fpr95_ood", "detection_accuracy")


@dataclass(frozen=True, eq=False)
class Levels:
    """The distinct scores of one set, highest first.

    Attributes
    ----------
    order : array, shape (n,)
        Pictures from the highest score to the lowest.
    starts : array, shape (A,)
        Where in `order` each distinct score begins.
    values : array, shape (A,)
        The distinct scores, *negated*, so that they rise.
    """

    order: Array
    starts: Array
    values: Array

    @classmethod
    def of(cls, scores: Array) -> "Levels":
        order = np.argsort(-scores)
        falling = -scores[order]
        starts = np.flatnonzero(np.concatenate([[True], falling[1:] != falling[:-1]]))
        return cls(order, starts, falling[starts])

    def counts(self, weights: Array) -> Array:
        """Count pictures at each distinct score: how often each counts, (R, n) -> (R, A)."""
        counts = weights.take(self.order, axis=1)  # several times faster than weights[:, order]
        return counts if len(self.starts) == len(self.order) else np.add.reduceat(counts, self.starts, axis=1)


@dataclass(frozen=True, eq=False)
class Ranking:
    """How two sets of scores interleave.

    Attributes
    ----------
    id, ood : Levels
        The distinct scores of each set.
    ood_above, ood_reach : array, shape (A,)
        How many distinct OOD scores lie above each distinct ID score; above or equal.
    id_above, id_reach : array, shape (B,)
        How many distinct ID scores lie above each distinct OOD score; above or equal.
    """

    id: Levels
    ood: Levels
    ood_above: Array
    ood_reach: Array
    id_above: Array
    id_reach: Array

    @classmethod
    def of(cls, id_scores: Array, ood_scores: Array) -> "Ranking":
        id_levels, ood_levels = Levels.of(id_scores), Levels.of(ood_scores)
        places = [
            np.searchsorted(there.values, here.values, side=side)
            for here, there in ((id_levels, ood_levels), (ood_levels, id_levels))
            for side in ("left", "right")
        ]
        return cls(id_levels, ood_levels, *places)

    def sides(self, id_weights: Array, ood_weights: Array) -> tuple["Side", "Side"]:
        """Count with ID as the positive class, and with OOD as the positive class: float weights (R, n), (R, m)."""
        id_count, ood_count = self.id.counts(id_weights), self.ood.counts(ood_weights)
        id_kept, ood_kept = _running(id_count), _running(ood_count)
        n, m = id_kept[:, -1:], ood_kept[:, -1:]
        ood_above, ood_reach = (ood_kept.take(places, axis=1) for places in (self.ood_above, self.ood_reach))
        id_above, id_reach = (id_kept.take(places, axis=1) for places in (self.id_above, self.id_reach))
        id_side = Side(id_count, id_kept[:, 1:], ood_above, ood_reach, m)
        # OOD as the positive class is the same task read from the lowest score upwards.
        count, kept = ood_count[:, ::-1], (m - ood_kept[:, :-1])[:, ::-1]
        return id_side, Side(count, kept, (n - id_reach)[:, ::-1], (n - id_above)[:, ::-1], n)

    def auroc(self, id_weights: Array, ood_weights: Array) -> Array:
        """Compute the AUROC alone, the numbers of `evaluate` in a fifth of its time: float (R, n), (R, m) -> (R,)."""
        count, kept = self.ood.counts(ood_weights), _running(self.id.counts(id_weights))
        # Twice the ID pictures that rank behind each distinct OOD score, ties counting one half.
        behind = 2 * kept[:, -1:] - kept.take(self.id_reach, axis=1) - kept.take(self.id_above, axis=1)
        half_points = 2 * kept[:, -1] * count.sum(axis=1)
        area: Array = (half_points - _dot(count, behind)) / half_points
        return area

    def evaluate(self, id_weights: Array, ood_weights: Array, cut: Cut, aupr: Aupr) -> Array:
        """Compute every metric for R weightings of the pictures: float (R, n), (R, m) -> (R, 6), as in `METRICS`."""
        id_side, ood_side = self.sides(id_weights, ood_weights)
        columns = (
            ood_side.auroc(),
            id_side.area(aupr),
            ood_side.area(aupr),
            id_side.false_positives(0.95, cut),
            ood_side.false_positives(0.95, cut),
            id_side.accuracy(),
        )
        return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class Side:
    """Counts with one class as the positive one, at its A distinct scores, the most positive score first.

    Attributes
    ----------
    count : array, shape (R, A)
        Positives at each score.
    kept : array, shape (R, A)
        Positives that reach it.
    before, false : array, shape (R, A)
        Negatives beyond it; negatives that reach it.
    negatives : array, shape (R, 1)
        All negatives.
    """

    count: Array
    kept: Array
    before: Array
    false: Array
    negatives: Array

    # float64 holds whole numbers exactly up to 9e15, so all counts and their products below are exact.

    def auroc(self) -> Array:
        """Return the chance that a positive ranks before a negative, ties counting one half: (R,)."""
        half_points = 2 * self.kept[:, -1] * self.negatives[:, 0]
        area: Array = (half_points - _dot(self.count, self.before + self.false)) / half_points
        return area

    def accuracy(self) -> Array:
        """Return the best mean of "positives kept" and "negatives left out" over all cuts: (R,)."""
        positives = self.kept[:, -1:]
        gain = self.negatives * self.kept - positives * self.false  # the best cut lies right behind some positive
        best: Array = (1 + gain.max(1, initial=0) / (positives * self.negatives)[:, 0]) / 2
        return best

    def area(self, rule: Aupr) -> Array:
        """Return the area under the precision-recall curve: (R,)."""
        # A weighting may lack the pictures with the highest scores: nothing is kept there, and no width is added.
        precision = self.kept / np.maximum(self.kept + self.false, 1)
        if rule == "trapezoid":  # a line from the point just before this score; the curve starts at precision 1
            earlier = self.kept - self.count
            total = earlier + self.before
            precision = (precision + np.where(total > 0, earlier / np.maximum(total, 1), 1)) / 2
        return _dot(self.count, precision) / self.kept[:, -1]

    def false_positives(self, level: float, cut: Cut) -> Array:
        """Return the share of negatives accepted at a recall: (R,)."""
        positives = self.kept[:, -1]
        # Comparing k / n with the level in floating point is what the reference implementations do.
        first = (self.kept / positives[:, None] >= level).argmax(1)
        accepted = _pick(self.false, first)
        if cut == "nearest":
            kept = _pick(self.kept, first)
            # Of all cuts with this recall take the most lenient one: right before the next positive, if there is one.
            following = (self.kept > kept[:, None]).argmax(1)
            accepted = np.where(kept < positives, _pick(self.before, following), accepted)
            fewer = kept - _pick(self.count, first)
            nearer = np.abs(fewer / positives - level) < np.abs(kept / positives - level)
            accepted = np.where(nearer, _pick(self.before, first), accepted)
        return accepted / self.negatives[:, 0]


def _running(count: Array) -> Array:
    """Return running totals with a leading 0: (R, A) -> (R, A + 1)."""
    total = np.zeros((count.shape[0], count.shape[1] + 1))
    np.cumsum(count, axis=1, out=total[:, 1:])
    return total


def _dot(a: Array, b: Array) -> Array:
    product: Array = np.einsum("ra,ra->r", a, b)
    return product


def _pick(array: Array, index: Array) -> Array:
    return np.take_along_axis(array, index[:, None], axis=1)[:, 0]
