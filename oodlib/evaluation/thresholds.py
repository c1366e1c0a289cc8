"""Where to cut a score: from labelled pictures, from in-distribution (ID) pictures alone, or without any.

Scores are larger for in-distribution pictures, and a picture *passes when its score is at or above the cut*. A cut is
itself a score that was seen, so that the shares named here are exact on the pictures it was chosen from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import as_scores

RULES = ("auto", "id95", "conformal")
RECALL, ERROR = 0.95, 0.05  # what "id95" keeps, what "conformal" may lose


@dataclass(frozen=True)
class Threshold:
    """A cut and how it was chosen.

    Parameters
    ----------
    value : float
        Pictures that score below it are called out-of-distribution. From ID scores it is one of them; a number and even
        odds are on the paper's scale (`Detector.from_paper`).
    rule : str
        "number", "even odds", "id95" or "conformal".
    n : int
        How many ID pictures it was chosen from; 0 where none were needed.
    """

    value: float
    rule: str
    n: int = 0

    def __str__(self) -> str:
        said = {
            "number": "as given",
            "even odds": "where the classes are as likely as everything else",
            "id95": f"keeps 95 % of {self.n} calibration pictures",
            "conformal": f"rejects a new picture like the {self.n} calibration pictures at most 5 % of the time",
        }
        return f"{self.value:.4g} ({said[self.rule]})"


def at_recall(id_scores: Any, recall: float = RECALL) -> float:
    r"""The largest cut that keeps at least a share `recall` of the ID scores: the rule "first" of `metrics`.

    .. math:: \lambda = \max \{s_i : |\{j : s_j \ge s_i\}| / n \ge r\}

    Parameters
    ----------
    id_scores : array-like, shape (n,)
        Scores of ID pictures, larger = more ID.
    recall : float
        The share r to keep, above 0 and at most 1.

    Returns
    -------
    float
        One of the scores.

    Raises
    ------
    OodlibError
        If scores are missing or no finite numbers, or `recall` is no share.

    Notes
    -----
    The share is exact on *these* scores. Of new ID pictures it is kept only on average; `conformal` gives a guarantee.

    Examples
    --------
    >>> at_recall([0.9, 0.8, 0.7, 0.1], recall=0.75)
    0.7
    """
    if not 0 < recall <= 1:
        raise OodlibError(f"recall is {recall}: give a share above 0 and at most 1, such as 0.95.")
    falling = -np.sort(-as_scores(id_scores, "id_scores"))
    # k / n against the level in floating point, as `oodlib.evaluation.ranking` does it
    first = int((np.arange(1, len(falling) + 1) / len(falling) >= recall).argmax())
    return float(falling[first])


def best_balanced_accuracy(id_scores: Any, ood_scores: Any) -> float:
    r"""The cut with the best balanced accuracy on labelled scores, which is also the cut of Youden's J.

    .. math::

        B(\lambda) = \tfrac12 \left(\frac{|\{i : s_i \ge \lambda\}|}{n} + \frac{|\{j : s^o_j < \lambda\}|}{m}\right),
        \qquad J(\lambda) = 2 B(\lambda) - 1

    J rises exactly where B does, so one cut is best for both. B at the cut is the ``detection_accuracy`` of
    `oodlib.evaluation.ood_metrics`. Of several best cuts the lowest is taken, which keeps the most ID pictures.

    Parameters
    ----------
    id_scores, ood_scores : array-like, shape (n,) and (m,)
        Scores of validation pictures, larger = more ID.

    Returns
    -------
    float
        One of the ID scores: between two of them only OOD pictures can change sides, and for the better.

    Raises
    ------
    OodlibError
        If scores are missing or no finite numbers.

    Notes
    -----
    The cut fits the *kind* of OOD pictures it saw; others may be nearer to the classes.

    References
    ----------
    Youden, Index for rating diagnostic tests, Cancer 1950.

    Examples
    --------
    >>> best_balanced_accuracy([0.9, 0.8, 0.7, 0.3], [0.6, 0.5, 0.2])
    0.7
    """
    inside = np.sort(as_scores(id_scores, "id_scores"))
    outside = np.sort(as_scores(ood_scores, "ood_scores"))
    kept = len(inside) - np.searchsorted(inside, inside, side="left")
    caught = np.searchsorted(outside, inside, side="left")
    # n m (J + 1) in whole numbers, so that ties are exact; argmax takes the first, which is the lowest score
    return float(inside[int((kept * len(outside) + caught * len(inside)).argmax())])


def conformal(id_scores: Any, error: float = ERROR) -> float:
    r"""A cut that rejects a new ID picture with probability at most `error`, whatever the scores' distribution.

    .. math:: \lambda = s_{(k)}, \qquad k = \lfloor \alpha (n + 1) \rfloor

    the k-th smallest of n calibration scores. If the new picture and the calibration pictures are exchangeable, its
    rank among all n + 1 is uniform, and it scores below :math:`s_{(k)}` only if that rank is at most k, that is with
    probability at most :math:`k / (n + 1) \le \alpha`. Ties only lower it.

    Parameters
    ----------
    id_scores : array-like, shape (n,)
        Scores of ID pictures that took no part in making the detector, larger = more ID.
    error : float
        The probability :math:`\alpha`, between 0 and 1.

    Returns
    -------
    float
        One of the scores.

    Raises
    ------
    OodlibError
        If there are fewer than :math:`1 / \alpha - 1` scores: no cut but minus infinity would keep the promise.

    Notes
    -----
    The probability is over calibration pictures and new picture together. Nothing is promised about OOD pictures.

    References
    ----------
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005 (inductive, or split,
    conformal prediction).
    Bates et al., Testing for outliers with conformal p-values, Annals of Statistics 2023.

    Examples
    --------
    >>> conformal(range(19), error=0.05), conformal(range(99), error=0.05)
    (0.0, 4.0)
    >>> conformal(range(18), error=0.05)
    Traceback (most recent call last):
    ...
    oodlib.errors.OodlibError: 18 scores cannot promise an error of 0.05: ... at least 19, or allow a larger error.
    """
    if not 0 < error < 1:
        raise OodlibError(f"error is {error}: give a probability between 0 and 1, such as 0.05.")
    rising = np.sort(as_scores(id_scores, "id_scores"))
    level = Fraction(repr(float(error)))  # the number as typed: 0.29 * 100 is 28.999999999999996 in floating point
    k = math.floor(level * (len(rising) + 1))
    if k < 1:
        needed = math.ceil(1 / level - 1)
        raise OodlibError(
            f"{len(rising)} scores cannot promise an error of {error}: calibrate with at least {needed}, or allow a "
            "larger error."
        )
    return float(rising[k - 1])


def choose(
    threshold: str | float, *, method: str = "this method", even_odds: float | None = None, id_scores: Any = None
) -> Threshold:
    """Turn what a person asked for into a cut.

    Parameters
    ----------
    threshold : float, "auto", "id95" or "conformal"
        A number is taken as it is. "id95" is `at_recall` with 0.95, "conformal" is `conformal` with an error of 0.05;
        both need `id_scores`. "auto" is "id95" where there are `id_scores`; else `even_odds` where the method has it.
    method : str
        What messages call the detector.
    even_odds : float, optional
        `Detector.even_odds`: the probability at which a picture fits the classes as well as everything else.
    id_scores : array-like, shape (n,), optional
        Scores of calibration pictures.

    Returns
    -------
    Threshold

    Raises
    ------
    OodlibError
        If the rule is unknown, or lacks what it needs.

    Examples
    --------
    >>> choose("auto", even_odds=0.5)
    Threshold(value=0.5, rule='even odds', n=0)
    >>> choose("auto", method="mcm")
    Traceback (most recent call last):
    ...
    oodlib.errors.OodlibError: mcm has no cut that words alone justify: calibrate with pictures ...
    """
    rule = check_rule(threshold, method=method, even_odds=even_odds, calibrated=id_scores is not None)
    if rule == "number":
        return Threshold(float(threshold), rule)
    if rule == "even odds":
        return Threshold(cast(float, even_odds), rule)
    scores = as_scores(id_scores, "the calibration scores")
    return Threshold(conformal(scores) if rule == "conformal" else at_recall(scores), rule, len(scores))


def check_rule(
    threshold: str | float, *, method: str = "this method", even_odds: float | None = None, calibrated: bool
) -> str:
    """What `choose` will do, one of `Threshold.rule`, told before there are scores.

    Raises
    ------
    OodlibError
        As `choose`, whatever the scores are.
    """
    number = _number(threshold)
    if number is not None:
        if calibrated:
            raise OodlibError(f"the threshold {number} needs no calibration pictures: leave out one of the two.")
        return "number"
    if threshold not in RULES:
        raise OodlibError(f"there is no threshold {threshold!r}: give a number or one of {', '.join(RULES)}.")
    if calibrated:
        return "conformal" if threshold == "conformal" else "id95"
    if threshold != "auto":
        raise OodlibError(
            f"the threshold {threshold} is chosen from pictures of your classes: pass some "
            "(calibrate=..., --calibrate FOLDER), or give a number."
        )
    if even_odds is None:
        raise OodlibError(
            f"{method} has no cut that words alone justify: calibrate with pictures of your classes "
            "(calibrate=..., --calibrate FOLDER), or give a number."
        )
    return "even odds"


def _number(threshold: str | float) -> float | None:
    try:
        number = float(threshold)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        raise OodlibError(f"the threshold is {number}: give a finite number or one of {', '.join(RULES)}.")
    return number
