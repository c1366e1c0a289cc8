"""From scores to a table that a person can read and argue with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.guard.images import Seen
from oodlib.guard.rows import Rows

if TYPE_CHECKING:
    from oodlib.concepts import Concepts
    from oodlib.detectors import Detector
    from oodlib.evaluation.thresholds import Threshold

COLUMNS = ["image", "decision", "score", "threshold", "best_label", "nearest_outlier", "margin", "reason"]
IN, OUT, UNREADABLE = "in", "out", "unreadable"


def decide(
    detector: Detector,
    concepts: Concepts,
    threshold: Threshold,
    seen: Seen,
    encoder: Mapping[str, Any],
    calibration: Any = None,
) -> Rows:
    """One row an image, in the order of `seen`.

    Parameters
    ----------
    detector : Detector
        Fitted to `concepts`.
    concepts : Concepts
    threshold : Threshold
        The cut on the paper's scale, for showing: what decides is the detector's own.
    seen : Seen
        What became of each image.
    encoder : mapping
        Its specification, from which the facts take its name.
    calibration : Tensor or array, optional
        Features (n, D) of pictures known to be in: beside their scores, those of the images tell what share is out
        (`oodlib.evaluation.label_free.share_of_ood`), wherever the threshold lies.

    Returns
    -------
    Rows
        ``image``: path, or number of a picture in memory. ``decision``: "in" where the score is at or above the
        threshold, "out" where it is below, "unreadable" where there is no score. ``score``: on the paper's scale, such
        as a probability; larger = more in-distribution. ``best_label``: the class of largest match.
        ``nearest_outlier``: of the method's outlier words the one of largest cosine, None for methods without.
        ``margin``: score minus threshold. ``reason``: what the decision rests on, or why there is none. The facts name
        the method, the threshold's rule and the files that were passed over; with calibration pictures ``share_out``,
        the estimated share of OOD images, and ``share_out_low``, its lower 95 % bound.
    """
    rows = {name: _unreadable(name, threshold.value, reason) for name, reason in seen.bad.items()}
    shares: dict[str, float] = {}
    if seen.good:
        scores = np.asarray(detector.score_samples(seen.features))
        rows |= zip(seen.good, _rows(detector, concepts, threshold.value, seen, scores), strict=True)
        if calibration is not None:
            from oodlib.evaluation.label_free import share_of_ood  # takes SciPy along

            share, low = share_of_ood(detector.score_samples(calibration), scores)
            shares = {"share_out": share, "share_out_low": low}
    about = {
        "method": repr(detector),
        "labels": list(concepts.names),
        "encoder": f"{encoder['model']} {encoder['pretrained'] or ''}".strip(),
        "threshold": str(threshold),
        "passed_over": list(seen.passed_over),
        **shares,
    }
    return Rows([rows[name] for name in seen.names], about)


def _unreadable(name: str, threshold: float, reason: str) -> dict[str, Any]:
    empty = dict.fromkeys(COLUMNS)
    known = {"image": name, "decision": UNREADABLE, "threshold": threshold, "reason": reason}
    return empty | {"score": float("nan"), "margin": float("nan")} | known


def _rows(detector: Detector, concepts: Concepts, cut: float, seen: Seen, scores: np.ndarray) -> list[dict[str, Any]]:
    kept, shown = scores >= detector.threshold_, detector.to_paper(scores.astype(np.float64))
    cosines = np.asarray(detector.cosines(seen.features))
    match, best = cosines.max(1), cosines.argmax(1)
    outlier: list[tuple[str, float] | None] = [None] * len(scores)
    if concepts.outlier_text is not None:
        # 4,096 pictures at a time: with 10,000 words that is 160 MB
        for start in range(0, len(scores), 4096):
            near = np.asarray(seen.features[start : start + 4096] @ concepts.outlier_text.T)
            for row, word in enumerate(near.argmax(1)):
                outlier[start + row] = concepts.outlier_names[word], float(near[row, word])
    rows = []
    for name, inside, score, cosine, label, other in zip(seen.good, kept, shown, match, best, outlier, strict=True):
        label = concepts.names[label]
        rest = "" if other is None else f"; nearest outlier word {other[0]!r}, cosine {other[1]:.2f}"
        rows.append(
            {
                "image": name,
                "decision": IN if inside else OUT,
                "score": float(score),
                "threshold": cut,
                "best_label": label,
                "nearest_outlier": other[0] if other else None,
                "margin": float(score - cut),
                "reason": f"{'at or above' if inside else 'below'} the threshold; best label {label!r}, "
                f"cosine {cosine:.2f}{rest}",
            }
        )
    return rows
