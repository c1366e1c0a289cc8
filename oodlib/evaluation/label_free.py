"""How good is a detector where nobody has labelled anything? Label-free indicators.

At hand are scores of pictures that are known to be ID (a *reference*) and of a *mixture*: pictures as they come, of
which an unknown share is OOD. With F the distribution of the scores of the reference, of the mixture and of its OOD
part, and π the share,

.. math:: F_{mix} = (1 - π) F_{id} + π F_{ood}.

All that follows rests on one assumption: the ID part of the mixture scores as the reference does. Where it was drawn or
photographed otherwise it does not, and reads as OOD; `oodlib.evaluation.unlabelled` says so where that shows.

The idea of an indicator that ranks detectors without labels is that of Gscore; its formulas are not public, and these
are not they.

References
----------
Zhang, Deng and Zheng, Unsupervised Evaluation for Out-of-distribution Detection, Pattern Recognition 2025 (Gscore).
DeLong et al., Biometrics 44, 1988 (the standard error of an AUROC); Massart, Annals of Probability 18, 1990 (the margin
of an empirical distribution); Otsu, IEEE Transactions on Systems, Man and Cybernetics 9, 1979.
"""

from typing import Any

import numpy as np
from scipy import special

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import as_scores
from oodlib.evaluation.ranking import Array, Ranking

DEEPEST = 0.9  # a cut below which this share of the reference lies says little about the rest


def mixture_auroc(id_scores: Any, mixed_scores: Any) -> tuple[float, float]:
    """AUROC of the reference against the mixture, and its standard error (DeLong).

    >>> mixture_auroc([2.0, 3.0], [1.0, 2.5])
    (0.75, 0.353...)
    """
    reference, mixed = as_scores(id_scores, "id_scores"), as_scores(mixed_scores, "mixed_scores")
    n, m = len(reference), len(mixed)
    if min(n, m) < 2:
        raise OodlibError(f"a reference of {n} and a mixture of {m} pictures have no standard error: two of each do")
    value = Ranking.of(reference, mixed).auroc(np.ones((1, n)), np.ones((1, m)))[0]
    spread = _beaten(reference, mixed).var(ddof=1) / n + _beaten(-mixed, -reference).var(ddof=1) / m
    return float(value), float(np.sqrt(spread))


def auroc_at_share(
    id_scores: Any, mixed_scores: Any, share: float, *, level: float = 0.95
) -> tuple[float, float, float]:
    r"""AUROC of a detector, with its interval, from a mixture whose share of OOD is known.

    The ID part of the mixture ties with the reference on average, so that exactly

    .. math:: \mathrm{AUROC}_{mix} = \frac{1 - π}{2} + π \, \mathrm{AUROC}.

    Nothing is assumed about the shape of the scores. The error of the left side is divided by π: a mixture with few OOD
    pictures says little.

    Returns
    -------
    value, low, high : float
        The estimate is not biased, so it may lie a little above 1; the bounds are kept between 0 and 1.

    Raises
    ------
    OodlibError
        If the share is not above 0 and at most 1, or there are fewer than two pictures of each.
    """
    if not 0 < share <= 1:
        raise OodlibError(f"share is {share}: give the share of OOD pictures, above 0 and at most 1")
    mixed, error = mixture_auroc(id_scores, mixed_scores)
    value = (mixed - (1 - share) / 2) / share
    margin = _quantile(level) * error / share
    return value, min(max(value - margin, 0.0), 1.0), max(min(value + margin, 1.0), 0.0)


def share_of_ood(id_scores: Any, mixed_scores: Any, *, level: float = 0.95) -> tuple[float, float]:
    r"""The share of OOD in a mixture, and a bound that it exceeds in at least `level` of all samples.

    Whatever the OOD pictures score, for every cut t

    .. math:: π \ge \frac{F_{mix}(t) - F_{id}(t)}{1 - F_{id}(t)},

    with equality where no OOD picture scores above t. The bound is the largest right side after the margin
    :math:`\sqrt{\log(2 / α) / 2n}` of each distribution was taken off; the share is the same expression without the
    margins, at the cut of the bound. Both are 0 where the mixture does not differ. The share tends to be too small
    where OOD pictures score as high as ID pictures.
    """
    reference, mixed = (
        np.sort(as_scores(scores, name)) for scores, name in ((id_scores, "id_scores"), (mixed_scores, "mixed_scores"))
    )
    alpha = 1 - _checked(level)
    below_id, below = (np.searchsorted(scores, mixed, side="right") / len(scores) for scores in (reference, mixed))
    off_id, off = (np.sqrt(np.log(2 / alpha) / (2 * len(scores))) for scores in (reference, mixed))
    inside, mixture = below_id + off_id, below - off
    usable = (below_id <= DEEPEST) & (inside < 1)
    if not usable.any():
        return 0.0, 0.0
    bounds = np.where(usable, (mixture - inside) / np.where(usable, 1 - inside, 1), -np.inf)
    best = int(bounds.argmax())
    share = (below[best] - below_id[best]) / (1 - below_id[best])
    return float(np.clip(share, 0, 1)) if bounds[best] > 0 else 0.0, float(max(bounds[best], 0.0))


def two_gaussians(mixed_scores: Any, *, seed: int = 0) -> tuple[float, float]:
    r"""AUROC and share of OOD if the mixture is two Gaussians, the one with the higher mean being ID.

    No reference is needed. :math:`Φ((μ_1 - μ_0) / \sqrt{σ_0^2 + σ_1^2})` is wrong where scores are skewed, as softmax
    probabilities are: pass log-odds.
    """
    from sklearn.mixture import GaussianMixture

    mixed = as_scores(mixed_scores, "mixed_scores")
    if len(np.unique(mixed)) < 2:
        return 0.5, 0.0
    # In one dimension all kinds of covariance are one; this one is computed in half the time.
    mixture = GaussianMixture(2, covariance_type="spherical", init_params="k-means++", random_state=seed)
    fitted = mixture.fit(mixed[:, None])
    low, high = np.argsort(fitted.means_[:, 0])
    distance = (fitted.means_[high, 0] - fitted.means_[low, 0]) / np.sqrt(fitted.covariances_.sum())
    return float(special.ndtr(distance)), float(fitted.weights_[low])


def otsu_ratio(mixed_scores: Any) -> float:
    """The largest share of the variance of the mixture's scores that a cut into two explains, between 0 and 1.

    One number without a reference; it becomes an AUROC only by a regression on sets with labels.

    >>> otsu_ratio([0, 0, 1, 1])
    1.0
    """
    mixed = np.sort(as_scores(mixed_scores, "mixed_scores"))
    n, total = len(mixed), float(mixed.var())
    if n < 2 or total == 0:
        return 0.0
    size = np.arange(1, n)
    sums = np.cumsum(mixed)[:-1]
    between = size * (n - size) / n**2 * (sums / size - (mixed.sum() - sums) / (n - size)) ** 2
    return float(min(between.max() / total, 1.0))


def _beaten(first: Array, second: Array) -> Array:
    """For each of `first` the share of `second` that lies below it, ties counting one half."""
    ordered = np.sort(second)
    places = np.searchsorted(ordered, first, side="left") + np.searchsorted(ordered, first, side="right")
    shares: Array = places / (2 * len(ordered))
    return shares


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise OodlibError(f"level is {level}: give a coverage between 0 and 1, such as 0.95")
    return level


def _quantile(level: float) -> float:
    return float(special.ndtri((1 + _checked(level)) / 2))
