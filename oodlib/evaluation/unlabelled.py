"""A detector on pictures without labels: its estimated AUROC and their share of OOD, and how far to trust both."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from oodlib.evaluation.label_free import auroc_at_share, mixture_auroc, share_of_ood
from oodlib.evaluation.metrics import as_scores
from oodlib.evaluation.ranking import Array

SUSPICIOUS = 0.01  # a chance smaller than this counts as a sign against the assumption
FEW = 10  # of so few pictures nothing can be said


@dataclass(frozen=True)
class Estimate:
    """What a mixture without labels says of a detector.

    Attributes
    ----------
    auroc, low, high : float
        Chance that a random ID picture scores above a random OOD picture, with its interval; NaN, 0 and 1 where the
        mixture cannot be told from the reference.
    share, share_low : float
        Share of OOD in the mixture; its lower bound.
    warnings : tuple of str
        Where the assumptions visibly fail, in words.
    """

    auroc: float
    low: float
    high: float
    share: float
    share_low: float
    warnings: tuple[str, ...]


def estimate(id_scores: Any, mixed_scores: Any, *, share: float | None = None, level: float = 0.95) -> Estimate:
    """How good a detector is on a mixture without labels, with an interval, and where not to trust it.

    Parameters
    ----------
    id_scores : array-like, shape (n,)
        Scores of pictures known to be ID, larger = more ID. They must not have taught the detector.
    mixed_scores : array-like, shape (m,)
        Scores of the pictures without labels.
    share : float, optional
        The share of OOD among them, where it is known. Otherwise it is estimated, and the interval then holds every
        AUROC that goes with a share between its lower bound and 1.
    level : float, default=0.95
        Coverage of the interval and of the bound.

    Raises
    ------
    OodlibError
        If scores are not numbers, or there are fewer than two of each.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> found = estimate(rng.normal(2, 1, 500), np.r_[rng.normal(2, 1, 300), rng.normal(-2, 1, 200)])
    >>> found.low < 0.998 < found.high, found.share_low <= 0.4
    (True, True)
    """
    guessed, bound = share_of_ood(id_scores, mixed_scores, level=level)
    warnings = _warnings(as_scores(id_scores, "id_scores"), as_scores(mixed_scores, "mixed_scores"), bound, share)
    if share is not None:
        value, low, high = auroc_at_share(id_scores, mixed_scores, share, level=level)
        return Estimate(min(max(value, 0.0), 1.0), low, high, share, bound, warnings)
    if bound == 0:
        mixture_auroc(id_scores, mixed_scores)  # too few pictures are an error here, too
        return Estimate(float("nan"), 0.0, 1.0, guessed, 0.0, warnings)
    value = auroc_at_share(id_scores, mixed_scores, guessed, level=level)[0]
    lowest = auroc_at_share(id_scores, mixed_scores, 1.0, level=level)[1]
    highest = auroc_at_share(id_scores, mixed_scores, bound, level=level)[2]
    return Estimate(min(max(value, 0.0), 1.0), lowest, highest, guessed, bound, warnings)


def _warnings(reference: Array, mixed: Array, bound: float, share: float | None) -> tuple[str, ...]:
    found = []
    if bound == 0 and share is None:
        found.append("these pictures cannot be told from the reference: no OOD, too few, or a detector that misses it")
    elif share is not None and share < bound:
        found.append(f"the share of OOD was given as {share:g}, but the scores say at least {bound:.2f}")
    # Above the median of the reference OOD pictures should be rare, so that what is left looks like the reference.
    middle = np.median(reference)
    upper_id, upper = reference[reference >= middle], mixed[mixed >= middle]
    if len(upper) >= FEW and stats.ks_2samp(upper_id, upper).pvalue < SUSPICIOUS:
        found.append(
            "the highest scores of the mixture do not lie as those of the reference do: its ID pictures may be of "
            "another kind than the reference, or OOD pictures score as high"
        )
    if len(upper) < FEW:
        found.append("hardly any picture of the mixture scores as the reference does: is any of it ID?")
    return tuple(found)
