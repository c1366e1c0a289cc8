"""A detector on pictures without labels: its estimated AUROC and their share of OOD, and how far to trust both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from oodlib.errors import OodlibError
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
    if share is not None:
        warnings = _warnings(as_scores(id_scores, "id_scores"), as_scores(mixed_scores, "mixed_scores"), bound, share)
        value, low, high = auroc_at_share(id_scores, mixed_scores, share, level=level)
        return Estimate(min(max(value, 0.0), 1.0), low, high, share, bound, warnings)
    return _with_share(id_scores, mixed_scores, guessed, bound, level)


def rank(scores: Mapping[str, tuple[Any, Any]], *, level: float = 0.95) -> tuple[float, float, dict[str, Estimate]]:
    """Rank detectors on one mixture without labels.

    The share of OOD is the mixture's and the same for all: the largest of the detectors' lower bounds, each taken at a
    level that makes all of them hold together, bounds it. Detectors for which the ID pictures of the mixture visibly
    score otherwise than the reference do not speak of the share, unless all are such. Detectors are ordered by the
    AUROC of the reference against the mixture, which orders as the AUROC does, whatever the share.

    Parameters
    ----------
    scores : mapping of str to (id_scores, mixed_scores)
        Larger = more ID; each detector's scores of the same pictures.
    level : float, default=0.95

    Returns
    -------
    share, share_low : float
    estimates : dict of str to Estimate
        The best detector first.
    """
    if not scores:
        raise OodlibError("there are no scores to rank: pass those of one detector at least")
    each = 1 - (1 - level) / len(scores)
    sound = [name for name, pair in scores.items() if not _unlike(*pair)] or list(scores)
    share, low = max((share_of_ood(*scores[name], level=each) for name in sound), key=lambda found: found[1])
    order = sorted(scores, key=lambda name: -mixture_auroc(*scores[name])[0])
    return share, low, {name: _with_share(*scores[name], share, low, level) for name in order}


def _with_share(id_scores: Any, mixed_scores: Any, share: float, low: float, level: float) -> Estimate:
    """The estimate where the share lies between its lower bound and 1."""
    warnings = _warnings(as_scores(id_scores, "id_scores"), as_scores(mixed_scores, "mixed_scores"), low, None)
    if low == 0:
        mixture_auroc(id_scores, mixed_scores)  # too few pictures are an error here, too
        return Estimate(float("nan"), 0.0, 1.0, share, 0.0, warnings)
    value = auroc_at_share(id_scores, mixed_scores, share, level=level)[0]
    # Above one half a smaller share means a larger AUROC, below it a smaller one.
    ends = [auroc_at_share(id_scores, mixed_scores, at, level=level)[1:] for at in (low, 1.0)]
    lowest, highest = min(end[0] for end in ends), max(end[1] for end in ends)
    return Estimate(min(max(value, 0.0), 1.0), lowest, highest, share, low, warnings)


def _warnings(reference: Array, mixed: Array, bound: float, share: float | None) -> tuple[str, ...]:
    found = []
    if bound == 0 and share is None:
        found.append("these pictures cannot be told from the reference: no OOD, too few, or a detector that misses it")
    elif share is not None and share < bound:
        found.append(f"the share of OOD was given as {share:g}, but the scores say at least {bound:.2f}")
    return (*found, *_unlike(reference, mixed))


def _unlike(id_scores: Any, mixed_scores: Any) -> tuple[str, ...]:
    """A warning where the best-scoring pictures of the mixture do not score as the reference does."""
    reference, mixed = as_scores(id_scores, "id_scores"), as_scores(mixed_scores, "mixed_scores")
    # Above the median of the reference OOD pictures should be rare, so that what is left looks like the reference.
    middle = np.median(reference)
    upper_id, upper = reference[reference >= middle], mixed[mixed >= middle]
    if len(upper) < FEW:
        return ("hardly any picture of the mixture scores as the reference does: is any of it ID?",)
    if stats.ks_2samp(upper_id, upper).pvalue >= SUSPICIOUS:
        return ()
    warning = (
        "the highest scores of the mixture do not lie as those of the reference do: its ID pictures may be of another "
        "kind than the reference, or OOD pictures score as high"
    )
    return (warning,)
