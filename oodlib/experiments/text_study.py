"""AUROC of trials on sets of texts, with intervals: means over sets and seeds, paired on the same resampled texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from oodlib.errors import OodlibError

Numbers = tuple[float, float, float]  # value, low, high


class TextStudy:
    """What trials score, text by text.

    A part is an OOD set with the ID texts that it is told apart from. All trials of a part are resampled alike, so
    that differences between them have paired intervals; ID texts are drawn alike in all parts with as many, OOD texts
    anew in each part.

    Parameters
    ----------
    n_boot : int
        Draws of an interval.
    seed : int
        Of the draws.
    """

    def __init__(self, *, n_boot: int = 1000, seed: int = 0):
        self.n_boot, self.seed = n_boot, seed
        self._parts: dict[str, int] = {}
        self._drawn: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._found: dict[tuple[str, str], list[NDArray[np.float64]]] = {}

    def add(self, trial: str, part: str, id_scores: NDArray[np.float64], ood_scores: NDArray[np.float64]) -> None:
        """Keep scores (n,) and (m,) of a trial, larger = more ID; again for each of its seeds, whose mean counts."""
        stream = self._parts.setdefault(part, 1 + len(self._parts))
        inside, outside = np.asarray(id_scores, np.float64), np.asarray(ood_scores, np.float64)
        if not (np.isfinite(inside).all() and np.isfinite(outside).all()):
            raise OodlibError(f"{trial} gives scores of {part} that are no numbers: encode the texts again")
        # How often an ID text beats an OOD text: every draw of texts weighs the same table.
        wins = ((inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)).astype(np.float32)
        draws = (self._weights(0, len(inside)) @ wins * self._weights(stream, len(outside))).sum(
            axis=1, dtype=np.float64
        )
        self._found.setdefault((trial, part), []).append(np.concatenate([[wins.mean(dtype=np.float64)], draws]))

    def auroc(self, trial: str, parts: Sequence[str]) -> Numbers:
        """The mean AUROC over parts and seeds, with its 95 % interval."""
        return _interval(self._mean(trial, parts))

    def gain(self, first: str, second: str, parts: Sequence[str], others: Sequence[str] | None = None) -> Numbers:
        """The first trial on `parts` minus the second on the same, or on `others`, with its 95 % interval."""
        return _interval(self._mean(first, parts) - self._mean(second, parts if others is None else others))

    def _mean(self, trial: str, parts: Sequence[str]) -> NDArray[np.float64]:
        missing = [part for part in parts if (trial, part) not in self._found]
        if missing or not parts:
            raise OodlibError(f"{trial!r} has no scores of {missing[0] if missing else 'any set'!r}: add them first")
        means: NDArray[np.float64] = np.mean(
            [np.mean(self._found[trial, part], axis=0) for part in parts], axis=0, dtype=np.float64
        )
        return means

    def _weights(self, stream: int, n: int) -> NDArray[np.float32]:
        """The share of each of n texts in every draw: (n_boot, n)."""
        if (stream, n) not in self._drawn:
            draw = np.random.default_rng([self.seed, stream])
            times = draw.multinomial(n, np.full(n, 1 / n), size=self.n_boot)
            self._drawn[stream, n] = (times / n).astype(np.float32)
        return self._drawn[stream, n]


def _interval(values: NDArray[np.float64]) -> Numbers:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return float(values[0]), float(low), float(high)
