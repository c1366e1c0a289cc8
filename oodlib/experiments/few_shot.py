"""The few-shot study: scores of every trial, and intervals over seeds and pictures together.

A trial is one method, tuned to so many shots with one seed. Its numbers vary for two reasons: which pictures are in the
test, and what the seed drew in training. Every replicate therefore draws pictures, the same ones for all trials, and
then seeds of each method; differences between methods are paired by pictures. Pictures of one concept by several hands
succeed and fail together, so a replicate draws concepts, with all their pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd

from oodlib.errors import OodlibError
from oodlib.evaluation.ranking import Array, Ranking
from oodlib.evaluation.results import COLUMNS
from oodlib.evaluation.tables import Setting

ZERO_SHOT = ("none", 0)

Interval = tuple[float, float, float]
_BLOCK = 100  # replicates ranked at once


@dataclass(frozen=True)
class Tried:
    """One trial's numbers under every weighting of the pictures, the pictures as they are first: (1 + R,) each."""

    seed: int
    accuracy: Array | None
    auroc: dict[tuple[str, str], Array]


class Study:
    """Trials on one test.

    Parameters
    ----------
    id_set : str
        Name of the in-distribution set.
    concepts : mapping of str to sequence
        Of every test set, the ID set among them, what each picture shows: pictures of one concept are drawn together.
    kinds : mapping of str to str
        Each OOD set's kind: "far", "near", ...
    n_boot, level, seed
        Replicates, coverage of the percentile intervals, and the seed of all draws.
    """

    def __init__(
        self,
        id_set: str,
        concepts: Mapping[str, Sequence[Any]],
        kinds: Mapping[str, str],
        *,
        n_boot: int = 1000,
        level: float = 0.95,
        seed: int = 0,
    ):
        self.id_set, self.kinds = id_set, dict(kinds)
        self.sizes = {name: len(shown) for name, shown in concepts.items()}
        self.n_boot, self.level, self.seed = n_boot, level, seed
        rng = np.random.default_rng(seed)
        self._weights = {name: _weights(shown, n_boot, rng) for name, shown in concepts.items()}
        self._trials: dict[tuple[str, int], list[Tried]] = {}

    def add(
        self, tuning: str, shots: int, seed: int, correct: Any | None, scores: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Add a trial.

        Parameters
        ----------
        tuning : str
            The method; "none" with 0 shots is what the others are compared with.
        shots, seed : int
        correct : array of bool, shape (n_id,), or None
            Whether each ID picture is named right; None where nothing is named.
        scores : mapping
            ``scores[detector][set]`` as `oodlib.evaluation.score` returns it, larger = more ID.
        """
        tried = self._trials.setdefault((tuning, shots), [])
        if seed in {other.seed for other in tried}:
            raise OodlibError(f"{tuning} with {shots} shots and seed {seed} is in the study already: add it once.")
        accuracy = None if correct is None else self._accuracy(np.asarray(correct, dtype=float))
        auroc = {(name, part): self._auroc(found, part) for name, found in scores.items() for part in self.kinds}
        tried.append(Tried(seed, accuracy, auroc))

    def _accuracy(self, right: Array) -> Array:
        if right.shape != (self.sizes[self.id_set],):
            raise OodlibError(f"correct has shape {right.shape}: pass one mark for each picture of {self.id_set}.")
        weights = self._weights[self.id_set]
        found: Array = weights @ right / weights.sum(1)
        return found

    def _auroc(self, scores: Mapping[str, Any], part: str) -> Array:
        ranking = Ranking.of(np.asarray(scores[self.id_set]), np.asarray(scores[part]))
        both = self._weights[self.id_set], self._weights[part]
        starts = range(0, self.n_boot + 1, _BLOCK)
        return np.concatenate([ranking.auroc(*(weights[k : k + _BLOCK] for weights in both)) for k in starts])

    @property
    def trials(self) -> list[tuple[str, int]]:
        """Methods with their shots, in the order in which they came."""
        return list(self._trials)

    def detectors(self, tuning: str, shots: int) -> list[str]:
        """The scores that a method was read by."""
        return list(dict.fromkeys(name for name, _ in self._trials[tuning, shots][0].auroc))

    def seeds(self, tuning: str, shots: int) -> int:
        """How many seeds a method was tuned with."""
        return len(self._trials[tuning, shots])

    def accuracy(self, tuning: str, shots: int, *, over_zero_shot: bool = False) -> Interval:
        """Share of ID pictures named right, or what it gained over zero-shot: value, low, high."""
        found = self._named(tuning, shots)
        return self._interval(found - self._named(*ZERO_SHOT) if over_zero_shot else found)

    def _named(self, tuning: str, shots: int) -> Array:
        """The accuracy of a method that names pictures."""
        found = [tried.accuracy for tried in self._trials[tuning, shots] if tried.accuracy is not None]
        if not found:
            raise OodlibError(f"{tuning} names no pictures: ask for its AUROC alone")
        return self._over_seeds(tuning, shots, found)

    def auroc(
        self, tuning: str, shots: int, detector: str, parts: Sequence[str], *, over: tuple[str, int, str] | None = None
    ) -> Interval:
        """Mean AUROC over OOD sets, or its difference to another method's: value, low, high.

        Parameters
        ----------
        tuning, shots, detector
            Whose.
        parts : sequence of str
            OOD sets.
        over : (str, int, str), optional
            Tuning, shots and detector to subtract.
        """
        found = self._mean(tuning, shots, detector, parts)
        return self._interval(found if over is None else found - self._mean(*over, parts))

    def gain(
        self, pairs: Sequence[tuple[tuple[str, int, str], tuple[str, int, str]]], parts: Sequence[str]
    ) -> Interval:
        """Mean over pairs of what the first's mean AUROC over OOD sets is above the second's: value, low, high.

        Parameters
        ----------
        pairs : sequence of two (str, int, str)
            Tuning, shots and detector of both.
        parts : sequence of str
            OOD sets.
        """
        return self._interval(
            np.mean([self._mean(*first, parts) - self._mean(*second, parts) for first, second in pairs], axis=0)
        )

    def accuracy_gain(self, pairs: Sequence[tuple[tuple[str, int], tuple[str, int]]]) -> Interval:
        """Mean over pairs of what the first names right more often than the second: value, low, high."""
        found = {trial: self._named(*trial) for pair in pairs for trial in pair}
        return self._interval(np.mean([found[first] - found[second] for first, second in pairs], axis=0))

    def spreads(
        self, trials: Sequence[tuple[str, int]], detectors: Sequence[str], parts: Sequence[str]
    ) -> dict[str, Interval]:
        """How far apart AUROCs lie when one of two choices is free and the other is fixed.

        Parameters
        ----------
        trials : sequence of (str, int)
            Methods with their shots.
        detectors : sequence of str
            Scores that all of them were read by.
        parts : sequence of str
            OOD sets, averaged over.

        Returns
        -------
        dict of str to Interval
            "score": best minus worst score, averaged over methods. "method": best minus worst method, averaged over
            scores. "difference": the first minus the second, paired by replicate.
        """
        values = np.stack([[self._mean(*trial, name, parts) for name in detectors] for trial in trials])
        by_score, by_method = np.ptp(values, axis=1).mean(0), np.ptp(values, axis=0).mean(0)
        found = {"score": by_score, "method": by_method, "difference": by_score - by_method}
        return {choice: self._interval(spread) for choice, spread in found.items()}

    def _mean(self, tuning: str, shots: int, detector: str, parts: Sequence[str]) -> Array:
        each = [
            np.mean([tried.auroc[detector, part] for part in parts], axis=0) for tried in self._trials[tuning, shots]
        ]
        return self._over_seeds(tuning, shots, each)

    def _over_seeds(self, tuning: str, shots: int, each: Sequence[Array]) -> Array:
        """Mean over seeds, which every replicate draws anew: the same draws for every number of a method."""
        values = np.stack(each, axis=1)  # (1 + R, S)
        key = [self.seed, shots, *tuning.encode()]
        drawn = np.random.default_rng(key).integers(0, len(each), size=(self.n_boot, len(each)))
        replicates = np.take_along_axis(values[1:], drawn, axis=1).mean(1)
        return np.concatenate([values[:1].mean(1), replicates])

    def _interval(self, values: Array) -> Interval:
        low, high = np.quantile(values[1:], [(1 - self.level) / 2, (1 + self.level) / 2])
        return float(values[0]), float(low), float(high)

    def table(self, parameters: Mapping[str, Mapping[str, Any]], **setting: Unpack[Setting]) -> pd.DataFrame:
        """All trials as rows with the columns of `oodlib.evaluation.results.COLUMNS`, each the mean over its seeds.

        Parameters
        ----------
        parameters : mapping
            Of each detector.
        **setting
            `profile`, `encoder`, `run`: the same in every row.
        """
        shared = {"profile": "", "encoder": "", "run": "", **setting, "id_set": self.id_set, "seed": self.seed}
        shared |= {"transductive": False, "n_id": self.sizes[self.id_set]}
        rows = []
        for tuning, shots in self._trials:
            about = shared | {"tuning": tuning, "shots": shots}
            named = {"ood_set": "", "ood_kind": "", "n_ood": 0, "detector": "argmax", "parameters": "{}"}
            if self._trials[tuning, shots][0].accuracy is not None:
                rows.append(about | named | _numbers("id_accuracy", self.accuracy(tuning, shots)))
            for detector in self.detectors(tuning, shots):
                scored = {"detector": detector, "parameters": json.dumps(dict(parameters[detector]), sort_keys=True)}
                for part, kind in self.kinds.items():
                    where = {"ood_set": part, "ood_kind": kind, "n_ood": self.sizes[part]}
                    rows.append(about | scored | where | _numbers("auroc", self.auroc(tuning, shots, detector, [part])))
        return pd.DataFrame(rows, columns=list(COLUMNS))


def _weights(shown: Sequence[Any], n_boot: int, rng: np.random.Generator) -> Array:
    """How often each picture counts, first as it is, then in every replicate: (1 + R, n)."""
    place, found = pd.factorize(np.asarray(shown))
    k = len(found)
    drawn = rng.multinomial(k, np.full(k, 1 / k), size=n_boot)[:, place]
    return np.concatenate([np.ones((1, len(place))), drawn])


def _numbers(metric: str, found: Interval) -> dict[str, Any]:
    return {"metric": metric, **dict(zip(("value", "low", "high"), found, strict=True))}
