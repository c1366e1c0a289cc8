"""How far the nearest class mean is, in units of the spread within classes."""

import numpy as np
from sklearn.metrics import euclidean_distances

from oodlib.feature_detectors._gaussian import class_means, enough_shrinkage, whitening
from oodlib.feature_detectors.base import Array, FeatureDetector


class Mahalanobis(FeatureDetector):
    r"""The squared Mahalanobis distance to the nearest class mean, negated; all classes share a covariance.

    .. math:: S(z) = -\min_{c \le C} (z - \mu_c)^\top \Sigma^{-1} (z - \mu_c), \qquad
        \Sigma = \frac1N \sum_i (z_i - \mu_{y_i}) (z_i - \mu_{y_i})^\top

    Without labels there is one class. Larger = more in-distribution.

    Parameters
    ----------
    shrinkage : float or None, default=None
        Share, 0 to 1, of the mean variance times the identity in :math:`\Sigma`. None takes 0, as published, with at
        least twice as many rows as columns and classes together, and with fewer the share of Ledoit and Wolf.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    means_ : array, shape (C, D)
        Mean of each class, in the order of the sorted labels.
    whitening_ : array, shape (D, r)
        A factor of the precision: its product with its transpose is the (pseudo-)inverse of :math:`\Sigma`.

    Notes
    -----
    There is no factor 1/2. With fewer rows than columns and ``shrinkage=0`` :math:`\Sigma` has no inverse, and its
    pseudo-inverse does not see the directions in which the training rows do not vary, where out-of-distribution
    features may well differ.

    References
    ----------
    Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks, NeurIPS
    2018, on one layer and without perturbed inputs, as in OpenOOD (mds_postprocessor.py, commit 3c35632). Ledoit and
    Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, J. Multivariate Analysis 2004.

    Examples
    --------
    >>> detector = Mahalanobis().fit([[0.0], [2.0], [10.0], [12.0]], y=["a", "a", "b", "b"])
    >>> detector.score_samples([[2.0], [6.0]]).tolist()
    [-1.0, -25.0]
    """

    means_: Array
    whitening_: Array

    def __init__(self, shrinkage: float | None = None, *, contamination: float = 0.05):
        self.shrinkage = shrinkage
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        self.means_, places = class_means(X, np.zeros(len(X), int) if labels is None else labels)
        remedy = "every row is the mean of its class, which leaves no spread to measure with: pass more rows a class."
        self.whitening_ = self._whitening(X - self.means_[places], remedy)

    def _whitening(self, centred: Array, remedy: str) -> Array:
        chosen = enough_shrinkage(centred, len(self.means_)) if self.shrinkage is None else self.shrinkage
        return whitening(centred, chosen, remedy)

    def _width(self) -> int:
        return len(self.means_)

    def score_block(self, X: Array) -> Array:
        whitened, means = X @ self.whitening_, self.means_ @ self.whitening_
        score: Array = -euclidean_distances(whitened, means, squared=True).min(axis=1)
        return score
