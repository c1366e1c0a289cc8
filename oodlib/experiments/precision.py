"""What half precision changes: the features of a picture, its cosines to names, and the numbers of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.evaluation.metrics import bootstrap_metrics

SHOWN = ("auroc", "fpr95")


def cosine_change(exact: Tensor, rough: Tensor, text: Tensor) -> dict[str, float]:
    """How far the features of the same pictures are apart.

    Parameters
    ----------
    exact, rough : Tensor
        (N, D) each, L2-normalised, row by row of the same pictures.
    text : Tensor
        (C, D), L2-normalised.

    Returns
    -------
    dict of float
        `own_mean`, `own_lowest`: cosine between the two features of one picture. `text_mean`, `text_largest`: absolute
        change of its cosine to a name. `same_name`: share of pictures whose nearest name stays.

    Examples
    --------
    >>> import torch
    >>> exact, rough = torch.eye(2), torch.tensor([[0.8, 0.6], [0.0, 1.0]])
    >>> changed = cosine_change(exact, rough, torch.eye(2))
    >>> round(changed["own_lowest"], 3), round(changed["text_largest"], 3), changed["same_name"]
    (0.8, 0.6, 1.0)
    """
    own = (exact * rough).sum(-1).clamp(max=1)
    before, after = exact @ text.T, rough @ text.T
    apart = (before - after).abs()
    return {
        "own_mean": float(own.mean()),
        "own_lowest": float(own.min()),
        "text_mean": float(apart.mean()),
        "text_largest": float(apart.max()),
        "same_name": float((before.argmax(-1) == after.argmax(-1)).float().mean()),
    }


def metric_change(
    exact: Mapping[str, Tensor],
    rough: Mapping[str, Tensor],
    concepts: Concepts,
    *,
    detectors: tuple[str, ...] = ("mcm", "msp"),
    n_boot: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """The numbers of a benchmark with both features, and the paired difference with its interval.

    Parameters
    ----------
    exact, rough : mapping of str to Tensor
        Set to features (N, D); the first set is the ID set, and both have the same pictures in the same order.
    concepts : Concepts
        The ID set's names. Their text features are the same for both.
    detectors : tuple of str
        Names of detectors that need nothing but names.
    n_boot, seed : int
        Bootstrap draws of pictures, the same for both features.

    Returns
    -------
    DataFrame
        A row for each detector, OOD set and metric: `exact`, `rough`, their shares; `difference`, `low`, `high`, rough
        minus exact.
    """
    id_set, *ood_sets = exact
    rows = []
    for name in detectors:
        detector = get_detector(name).fit(concepts)
        scores = [{part: detector.score_samples(found) for part, found in sets.items()} for sets in (exact, rough)]
        for part in ood_sets:
            pairs = {kind: (found[id_set], found[part]) for kind, found in zip(("exact", "rough"), scores, strict=True)}
            boot = bootstrap_metrics(pairs, n_boot=n_boot, seed=seed)
            for metric in SHOWN:
                difference, low, high = boot.difference("rough", "exact")[metric]
                shares = {kind: boot.values[kind][metric] for kind in pairs}
                rows.append(
                    {
                        "detector": name,
                        "ood_set": part,
                        "metric": metric,
                        **shares,
                        "difference": difference,
                        "low": low,
                        "high": high,
                    }
                )
    return pd.DataFrame(rows)
