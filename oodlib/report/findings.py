"""Findings: what a page says first, built from kept scores, so that no table further down can say otherwise.

A finding compares two things on the same pictures: two detectors on the same OOD sets, or one detector on two groups
of OOD sets. It names the sets, carries the interval of the *paired* difference, and takes its verb from that interval.
`oodlib.report.comparison` makes them. What a page claims is written beside its results, with the file that it comes
from; a test computes every claim of a built book again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from oodlib.report.cells import Interval

NAMES = {"auroc": "points of AUROC", "fpr95": "points of `fpr95`"}
LOWER_IS_BETTER = ("fpr95",)


@dataclass(frozen=True)
class Finding:
    """The first of two minus the second, in words.

    Attributes
    ----------
    id_set : str
    metric : str
        "auroc" or "fpr95".
    first, second : str
        Detectors; one and the same where two groups of sets are compared.
    sets, others : tuple of str
        The OOD sets whose mean counts for the first, and for the second.
    kinds : mapping of OOD set to kind
        Of all sets of the comparison, in the order in which their pictures were resampled.
    n_boot, seed : int
        Of the resampling.
    value, low, high : float
        The difference, as a share, and its paired interval.
    """

    id_set: str
    metric: str
    first: str
    second: str
    sets: tuple[str, ...]
    others: tuple[str, ...]
    kinds: Mapping[str, str]
    n_boot: int
    seed: int
    value: float
    low: float
    high: float

    @property
    def verdict(self) -> int:
        """1 if the first is better, -1 if it is worse, 0 if the interval holds zero and the two are not told apart."""
        sign = int(self.low > 0) - int(self.high < 0)
        return -sign if self.metric in LOWER_IS_BETTER else sign

    @property
    def verb(self) -> str:
        """What the interval allows to be said."""
        if self.first == self.second:
            return {1: "loses", -1: "gains", 0: "cannot be said to lose or gain"}[self.verdict]
        return {1: "is worth", -1: "costs", 0: "cannot be told apart"}[self.verdict]

    @property
    def amount(self) -> Interval:
        """The difference with its interval; without its sign where the verb says it."""
        numbers = (self.value, self.low, self.high)
        if self.verdict and self.value < 0:
            numbers = (-self.value, -self.high, -self.low)
        return Interval(*numbers)

    @property
    def points(self) -> str:
        """The amount with its unit."""
        return f"{self.amount} {NAMES[self.metric]}"

    def said(self, where: str | None = None) -> str:
        """A clause without a full stop; `where` stands for the names of the sets once these were said."""
        here, there = (where or _places(self.sets, self.kinds)), _places(self.others, self.kinds)
        if self.first == self.second:
            return f"from {here} to {there}, {_shown(self.first)} {self.verb} {self.points}"
        if self.verdict == 0:
            pair = f"{_shown(self.first)} and {_shown(self.second)}"
            return f"{pair} {self.verb} on {here} (a difference of {self.points})"
        return f"{_shown(self.first)} instead of {_shown(self.second)} {self.verb} {self.points} on {here}"

    def __str__(self) -> str:
        """The clause with the names of the sets."""
        return self.said()


def write_findings(findings: Iterable[Finding], path: Path, *, scores: str) -> None:
    """Write a page's findings as JSON, each with what it takes to compute it again.

    Parameters
    ----------
    findings : iterable of Finding
    path : Path
        ``findings/<page>.json`` in the profile's folder.
    scores : str
        The file of the scores behind them, in the same folder.
    """
    kept = [{**asdict(one), "verb": one.verb, "points": one.points, "scores": scores} for one in findings]
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _places(sets: Sequence[str], kinds: Mapping[str, str]) -> str:
    """Sets with their kind, which is that of the first: "the far sets *a*, *b* and *c*"."""
    kind = kinds[sets[0]]
    if tuple(sets) == (kind,):
        return f"the *{kind}* set"
    *most, last = (f"*{part}*" for part in sets)
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"the {kind} set{'s' if most else ''} {listed}"


def _shown(detector: str) -> str:
    """A detector's name in code type, a description of one in italics."""
    return f"`{detector}`" if re.fullmatch(r"[\w-]+", detector) else f"*{detector}*"
