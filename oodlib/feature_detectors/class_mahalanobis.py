"""The Mahalanobis distance with a covariance for every class."""

import numpy as np

from oodlib.errors import OodlibError
from oodlib.feature_detectors._gaussian import class_places
from oodlib.feature_detectors.base import Array, FeatureDetector


class ClassMahalanobis(FeatureDetector):
    r"""The squared Mahalanobis distance to the classes, negated; every class has its own covariance.

    .. math:: S(z) = -\min_{c \le C} d_c(z), \qquad d_c(z) = (z - \mu_c)^\top \Sigma_c^{+} (z - \mu_c)

    Without labels there is one class, and this is `Mahalanobis` with ``shrinkage=0``. Larger = more in-distribution.

    Parameters
    ----------
    combine : {"nearest", "mean"}, default="nearest"
        "mean" takes the mean of the :math:`d_c` over all classes instead of the smallest.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    means_ : array, shape (C, D)
        Mean of each class, in the order of the sorted labels.
    whitenings_ : list of array, shapes (D, r)
        For each class a factor of the pseudo-inverse of its covariance.

    Notes
    -----
    A class of fewer rows than columns varies in few directions, and its distance sees no other: a
    feature may be far in all of those that are not seen and have the distance 0. The class with the fewest rows then
    decides the smallest distance.

    References
    ----------
    Li et al., Rethinking Out-of-distribution (OOD) Detection: Masked Image Modeling is All You Need, CVPR 2023: `cc`
    and `avgcc` of the released code (lijingyao20010602/MOOD, commit 0f030e8), on L2-normalised features. As released
    both fail, because the features of the classes come in one array.

    Examples
    --------
    >>> rows, classes = [[0.0], [2.0], [10.0], [14.0]], ["a", "a", "b", "b"]
    >>> ClassMahalanobis().fit(rows, classes).score_samples([[3.0], [8.0]]).tolist()
    [-4.0, -4.0]
    >>> ClassMahalanobis("mean").fit(rows, classes).score_samples([[3.0], [8.0]]).tolist()
    [-12.125, -26.5]
    """

    means_: Array
    whitenings_: list[Array]

    def __init__(self, combine: str = "nearest", *, contamination: float = 0.05):
        self.combine = combine
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        if self.combine not in ("nearest", "mean"):
            raise OodlibError(f"combine is {self.combine!r}: choose from 'nearest', 'mean'.")
        places = np.zeros(len(X), int) if labels is None else class_places(labels)
        own = [X[places == place] for place in range(places.max() + 1)]
        self.means_ = np.stack([rows.mean(axis=0) for rows in own])
        nothing = 1e-12 * np.abs(X).max()  # equal rows differ from their mean by rounding
        self.whitenings_ = [_whitening(rows - mean, nothing) for rows, mean in zip(own, self.means_, strict=True)]

    def score_block(self, X: Array) -> Array:
        parts = zip(self.means_, self.whitenings_, strict=True)
        distances = np.stack([np.square(X @ whiten - mean @ whiten).sum(axis=1) for mean, whiten in parts])
        score: Array = -(distances.min(axis=0) if self.combine == "nearest" else distances.mean(axis=0))
        return score


def _whitening(centred: Array, nothing: float) -> Array:
    """`oodlib.feature_detectors._gaussian.whitening` without shrinkage, from the few rows of a class: (n, D) -> (D, r).

    The covariance of n rows has at most n directions. To look for them among all D would take minutes for some hundred
    classes.
    """
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    kept = lengths > max(nothing, lengths[0] * np.sqrt(centred.shape[1] * np.finfo(np.float64).eps))
    if not kept.any():
        raise OodlibError("a class has one row, or equal rows only, and so no spread: pass more rows of every class.")
    whiten: Array = directions[kept].T / (lengths[kept] / np.sqrt(len(centred)))
    return whiten
