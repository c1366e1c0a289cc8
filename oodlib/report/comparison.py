"""Detectors on the same pictures: means over OOD sets with their intervals, and paired differences as findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import Bootstrap, bootstrap_metrics
from oodlib.evaluation.ranking import METRICS
from oodlib.report.cells import Interval
from oodlib.report.findings import Finding


class Comparison:
    """Detectors that scored the pictures of one ID set and of its OOD sets.

    Parameters
    ----------
    scores : DataFrame
        Rows (id_set, set, detector, score), each set's pictures in one order for all detectors, as pages keep them.
    id_set : str
    kinds : mapping of OOD set to kind
    detectors : sequence of str
        Which of them; their intervals come from the same resampled pictures.
    n_boot, seed
        As in `oodlib.evaluation.bootstrap_metrics`.

    Raises
    ------
    OodlibError
        If a detector has no scores of a set.
    """

    def __init__(
        self,
        scores: pd.DataFrame,
        id_set: str,
        kinds: Mapping[str, str],
        detectors: Sequence[str],
        *,
        n_boot: int = 1000,
        seed: int = 0,
    ):
        own = scores[(scores["id_set"] == id_set) & scores["detector"].isin(list(detectors))]
        found = {key: part["score"].to_numpy() for key, part in own.groupby(["detector", "set"], sort=False)}
        for key in ((name, part) for name in detectors for part in (id_set, *kinds)):
            if key not in found:
                raise OodlibError(f"{key[0]} has no scores of {key[1]!r} under {id_set!r}: keep those of every set.")
        self.id_set, self.kinds, self.n_boot, self.seed = id_set, dict(kinds), n_boot, seed
        self.drawn = {
            part: bootstrap_metrics(
                {name: (found[name, id_set], found[name, part]) for name in detectors},
                n_boot=n_boot,
                seed=seed,
                ood_stream=place,
            )
            for place, part in enumerate(kinds)
        }

    def sets(self, kind: str) -> tuple[str, ...]:
        """The OOD sets of a kind."""
        return tuple(part for part, known in self.kinds.items() if known == kind)

    def of(self, detector: str, sets: Sequence[str], metric: str = "auroc") -> Interval:
        """The mean of a metric over some sets, with its interval."""
        drawn = self._mean(sets)
        return Interval(drawn.values[detector][metric], *drawn.interval(detector)[metric])

    def between(self, first: str, second: str, sets: Sequence[str], metric: str = "auroc") -> Finding:
        """Two detectors on the same OOD sets."""
        return self._finding((first, second), (sets, sets), metric)

    def across(self, detector: str, sets: Sequence[str], others: Sequence[str], metric: str = "auroc") -> Finding:
        """One detector on some OOD sets and on others."""
        return self._finding((detector, detector), (sets, others), metric)

    def spread(self, detectors: Sequence[str], sets: Sequence[str], metric: str = "auroc") -> Interval:
        """The best of some detectors minus the worst, with its interval; every draw has a best and a worst of its own.

        A maximum of noisy numbers lies above the noise's middle, so the interval may lie above the value.
        """
        return self._interval(*self._spreads(detectors, sets, metric))

    def spread_between(
        self, first: Sequence[str], second: Sequence[str], sets: Sequence[str], metric: str = "auroc"
    ) -> Interval:
        """The spread of the first detectors minus that of the second, on the same resampled pictures."""
        (one, ones), (other, others) = (self._spreads(names, sets, metric) for names in (first, second))
        return self._interval(one - other, ones - others)

    def _spreads(self, detectors: Sequence[str], sets: Sequence[str], metric: str) -> tuple[float, np.ndarray]:
        place, mean = METRICS.index(metric), self._mean(sets)
        drawn = np.stack([mean.replicates[name][:, place] for name in detectors])
        return float(np.ptp([mean.values[name][metric] for name in detectors])), np.ptp(drawn, axis=0)

    def _interval(self, value: float, replicates: np.ndarray) -> Interval:
        level = next(iter(self.drawn.values())).level
        low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
        return Interval(value, float(low), float(high))

    def _mean(self, sets: Sequence[str]) -> Bootstrap:
        return Bootstrap.mean([self.drawn[part] for part in sets])

    def _finding(self, names: tuple[str, str], sets: tuple[Sequence[str], Sequence[str]], metric: str) -> Finding:
        place = METRICS.index(metric)
        first, second = (self._mean(parts) for parts in sets)
        value = first.values[names[0]][metric] - second.values[names[1]][metric]
        # Both sides drew the same ID pictures in replicate b, and the same OOD pictures where their sets are the same.
        replicates = first.replicates[names[0]][:, place] - second.replicates[names[1]][:, place]
        low, high = np.quantile(replicates, [(1 - first.level) / 2, (1 + first.level) / 2])
        bounds = float(value), float(low), float(high)
        return Finding(
            self.id_set, metric, *names, tuple(sets[0]), tuple(sets[1]), self.kinds, self.n_boot, self.seed, *bounds
        )
