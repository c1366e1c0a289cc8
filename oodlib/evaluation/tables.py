"""From scores to one tidy table: a row for each number, with its interval.

The table keeps one convention, so that its rows can be compared: the cut at 95 % recall is the first point at or above
it, and areas under precision-recall curves are average precisions. Both false-positive rates are always there:
``fpr95`` (ID kept) and ``fpr95_ood`` (OOD caught). The column ``transductive`` marks test-time methods.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd

from oodlib.detectors import Detector
from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import Bootstrap, bootstrap_metrics
from oodlib.evaluation.ranking import METRICS
from oodlib.evaluation.results import COLUMNS
from oodlib.evaluation.scoring import Detectors, name_detectors, of_pair, pair_name

KINDS = ("far", "near", "hard", "covariate")


class Setting(TypedDict, total=False):
    """Columns of the table that are the same in every row of one call; `tuning` is "none" unless told."""

    profile: str
    encoder: str
    tuning: str
    shots: int
    run: str


_UNSET: Setting = {"profile": "", "encoder": "", "tuning": "none", "shots": 0, "run": ""}


def tabulate(
    scores: Mapping[str, Mapping[str, Any]],
    detectors: Detectors,
    *,
    id_set: str,
    kinds: Mapping[str, str],
    baseline: str | Sequence[str] = (),
    correct: Any = None,
    means: Mapping[str, Sequence[str]] | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    **setting: Unpack[Setting],
) -> pd.DataFrame:
    """Turn scores into tidy rows: one for each OOD set, detector and metric, with its bootstrap interval.

    Parameters
    ----------
    scores : mapping
        ``scores[detector][set]`` as `score` returns it.
    detectors
        The same as `score` was given; their parameters become a column.
    id_set : str
        Which of the sets is in-distribution.
    kinds : mapping of OOD set to kind
        Which sets to compare it with, and what each is: "far", "near", "hard" or "covariate".
    baseline : str or sequence of str, optional
        Detectors; for each there are rows such as ``auroc_minus_mcm`` too, with intervals of the paired difference.
    correct : array of bool, shape (n_id,), optional
        Whether the best-matching class is the true one; then there is one more row, of metric "id_accuracy" and
        detector "argmax", with no OOD set.
    means : mapping of name to OOD sets, optional
        Means over some of the sets; each has rows of its own, of the kind of its first set. The ID pictures are drawn
        once for all sets of a mean, so its interval is paired; the OOD pictures of each set are drawn by themselves.
    n_boot, level, seed
        As in `oodlib.evaluation.bootstrap_metrics`.
    **setting
        `profile`, `encoder`, `tuning`, `shots`, `run`: the same in every row.

    Returns
    -------
    DataFrame
        With the columns `COLUMNS`.
    """
    named = name_detectors(detectors)
    baselines = (baseline,) if isinstance(baseline, str) else tuple(baseline)
    _check(scores, named, id_set, kinds, baselines)
    _check_means(means or {}, kinds)
    shared: dict[str, Any] = {**_UNSET, **setting, "id_set": id_set, "seed": seed}
    if len(shared) != len(_UNSET) + 2:
        raise OodlibError(f"unknown columns: besides id_set and seed, a setting has only {', '.join(_UNSET)}.")
    parameters = {name: json.dumps(detector.get_params(), sort_keys=True) for name, detector in named.items()}
    rows: list[dict[str, Any]] = []
    drawn: dict[str, Bootstrap] = {}
    sizes: dict[str, int] = {}
    for place, ood_set in enumerate(kinds):
        pairs = {name: of_pair(sets, id_set, ood_set) for name, sets in scores.items()}
        stream = place if means else 0
        drawn[ood_set] = bootstrap_metrics(pairs, n_boot=n_boot, level=level, seed=seed, ood_stream=stream)
        n_id, sizes[ood_set] = (len(part) for part in next(iter(pairs.values())))
    listed = dict(kinds)
    for mean, parts in (means or {}).items():
        drawn[mean] = Bootstrap.mean([drawn[part] for part in parts])
        listed[mean], sizes[mean] = kinds[parts[0]], sum(sizes[part] for part in parts)
    for ood_set, kind in listed.items():
        boot, n_ood = drawn[ood_set], sizes[ood_set]
        common = shared | {"ood_set": ood_set, "ood_kind": kind, "n_id": n_id, "n_ood": n_ood}
        for name in scores:
            numbers = {m: (boot.values[name][m], *bounds) for m, bounds in boot.interval(name).items()}
            for other in baselines:
                if other != name:
                    differences = boot.difference(name, other)
                    numbers |= {f"{m}_minus_{other}": differences[m] for m in METRICS}
            rows += [
                common
                | {"detector": name, "parameters": parameters[name], "metric": m}
                | {"transductive": named[name].transductive}
                | dict(zip(("value", "low", "high"), found, strict=True))
                for m, found in numbers.items()
            ]
    if correct is not None:
        rows.append(shared | _accuracy(correct, n_boot, level, seed))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _accuracy(correct: Any, n_boot: int, level: float, seed: int) -> dict[str, Any]:
    right = np.asarray(correct)
    if right.ndim != 1 or right.dtype != bool or not right.size:
        raise OodlibError("correct must be an array of True and False, one for each in-distribution picture.")
    # Resampling n pictures that are right or wrong is a binomial draw.
    drawn = np.random.default_rng(seed).binomial(right.size, right.mean(), size=n_boot) / right.size
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    about = {"ood_set": "", "ood_kind": "", "n_id": right.size, "n_ood": 0, "detector": "argmax", "parameters": "{}"}
    about["transductive"] = False
    return about | {"metric": "id_accuracy", "value": float(right.mean()), "low": float(low), "high": float(high)}


def _check(
    scores: Mapping[str, Mapping[str, Any]],
    detectors: Mapping[str, Detector],
    id_set: str,
    kinds: Mapping[str, str],
    baselines: Sequence[str],
) -> None:
    if not scores or set(scores) - set(detectors):
        raise OodlibError(f"scores of {sorted(scores)} do not go with the detectors {sorted(detectors)}.")
    for baseline in baselines:
        if baseline not in scores:
            raise OodlibError(f"the baseline {baseline!r} has no scores: choose from {', '.join(scores)}.")
    for name, sets in scores.items():
        # a transductive detector has other scores of the ID pictures for each pair
        together = [pair_name(id_set, ood_set) for ood_set in kinds]
        for wanted in (*(together if detectors[name].transductive else [id_set]), *kinds):
            if wanted not in sets:
                raise OodlibError(f"{name} has no scores of the set {wanted!r}: it has {', '.join(sets) or 'none'}.")
    for ood_set, kind in kinds.items():
        if kind not in KINDS:
            raise OodlibError(f"{ood_set!r} is of kind {kind!r}: choose from {', '.join(KINDS)}.")


def _check_means(means: Mapping[str, Sequence[str]], kinds: Mapping[str, str]) -> None:
    for mean, parts in means.items():
        if not parts:
            raise OodlibError(f"the mean {mean!r} is of no set: name its OOD sets.")
        for missing in set(parts) - set(kinds):
            raise OodlibError(f"the mean {mean!r} needs the set {missing!r}, which is not among {', '.join(kinds)}.")
        if mean in kinds:
            raise OodlibError(f"the mean {mean!r} has the name of a set: give it another one.")
