"""Detectors ranked on a folder that nobody has labelled, beside a folder of pictures that are known to be in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from oodlib.errors import OodlibError
from oodlib.evaluation.unlabelled import rank as rank_scores
from oodlib.guard.compare import ID, OOD, score_folders

FEW = 50  # pictures of either kind below which the interval is too wide to rank by


@dataclass(frozen=True, eq=False)
class Ranking:
    """What came out.

    Parameters
    ----------
    table : DataFrame
        One row a detector, the best first: ``detector``, the estimated ``auroc`` with its interval (``auroc_low``,
        ``auroc_high``), NaN where nothing of the mixture shows, and ``warnings``.
    share, share_low : float
        Share of OOD pictures in the mixture, and its lower 95 % bound.
    pictures, features
        As in `oodlib.guard.compare.Comparison`; ``set`` is "inside" or "outside", which here means the mixture.
    notes : tuple of str
        What a person should know, a sentence each.
    """

    table: pd.DataFrame
    share: float
    share_low: float
    pictures: pd.DataFrame
    features: Tensor
    notes: tuple[str, ...]


def rank(
    inside: Path | str,
    mixed: Path | str,
    encoder: str = "pocket",
    *,
    labels: Sequence[str] | None = None,
    outliers: Sequence[str] | None = None,
    templates: str | None = None,
    seed: int = 0,
    progress: bool = False,
    **weights: Any,
) -> Ranking:
    """Estimate how well every detector tells ID from OOD among pictures without labels.

    Methods that look at the test pictures as a stream are left out: their scores of the two folders depend on each
    other.

    Parameters
    ----------
    inside : path
        Pictures known to be in, as in `oodlib.guard.compare.compare`. The estimate takes for granted that ID pictures
        of the mixture are of the same kind: drawn by the same hands, taken by the same cameras.
    mixed : path
        Pictures without labels, some of them out.
    encoder, labels, outliers, templates, seed, progress, **weights
        As in `compare`.

    Raises
    ------
    OodlibError
        As `compare`.
    """
    found = score_folders(
        inside,
        mixed,
        encoder,
        labels=labels,
        outliers=outliers,
        templates=templates,
        seed=seed,
        progress=progress,
        **weights,
    )
    static = [name for name, detector in found.detectors.items() if not detector.transductive]
    pairs = {name: (found.scores[name][ID], found.scores[name][OOD]) for name in static}
    if not pairs:
        raise OodlibError("no detector can be asked about these folders: see the notes of `oodlib compare` on them")
    share, low, estimates = rank_scores(pairs)
    notes = list(found.notes)
    if streams := [name for name in found.detectors if name not in pairs]:
        notes.append(f"left out, because they look at the pictures as a stream: {', '.join(streams)}")
    n_id, n_mixed = (len(scores) for scores in next(iter(pairs.values())))
    if min(n_id, n_mixed) < FEW:
        notes.append(
            f"{n_id} pictures inside and {n_mixed} without labels are few: the intervals say how little they tell"
        )
    rows = [
        {
            "detector": name,
            "auroc": one.auroc,
            "auroc_low": one.low,
            "auroc_high": one.high,
            "warnings": "; ".join(one.warnings),
        }
        for name, one in estimates.items()
    ]
    return Ranking(pd.DataFrame(rows), share, low, found.pictures, found.features, tuple(notes))
