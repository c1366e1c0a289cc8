"""The Mahalanobis distance to the nearest class, compared with that to the whole training set."""

import numpy as np
from sklearn.cluster import KMeans

from oodlib.errors import OodlibError
from oodlib.feature_detectors.base import Array
from oodlib.feature_detectors.mahalanobis import Mahalanobis


class RelativeMahalanobis(Mahalanobis):
    r"""How much nearer the nearest class is than the training set as a whole.

    .. math:: S(z) = (z - \mu)^\top \Sigma_0^{-1} (z - \mu) - \min_{c \le C} (z - \mu_c)^\top \Sigma^{-1} (z - \mu_c)

    with the covariance :math:`\Sigma` within classes, and mean and covariance :math:`\mu, \Sigma_0` of all rows. What
    is far from everything in directions that do not tell classes apart cancels out. Larger = more in-distribution.

    Parameters
    ----------
    shrinkage : float or None, default=None
        Share, 0 to 1, of the mean variance times the identity in both covariances. None is that of `Mahalanobis`.
    n_clusters : int, default=10
        Without labels, k-means makes this many classes, but no more than one for five rows, nor fewer than two. The
        published method has labels.
    random_state : int, RandomState or None, default=0
        Of k-means.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    means_, whitening_
        As in `Mahalanobis`.
    mean_ : array, shape (D,)
        Mean of all rows.
    whitening_all_ : array, shape (D, r)
        A factor of the precision of all rows.

    Notes
    -----
    With one class both distances are the same and every score is 0: that is an error here.

    References
    ----------
    Ren et al., A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection, arXiv 2106.09022, 2021, as in
    OpenOOD (rmds_postprocessor.py, commit 3c35632).
    """

    mean_: Array
    whitening_all_: Array

    def __init__(
        self,
        shrinkage: float | None = None,
        n_clusters: int = 10,
        random_state: int | np.random.RandomState | None = 0,
        *,
        contamination: float = 0.05,
    ):
        super().__init__(shrinkage, contamination=contamination)
        self.n_clusters = n_clusters
        self.random_state = random_state

    def learn(self, X: Array, labels: Array | None) -> None:
        if labels is None:
            labels = self._clustered(X)
        super().learn(X, labels)
        if len(self.means_) < 2:
            raise OodlibError("RelativeMahalanobis compares classes with the whole: pass y of at least two classes.")
        self.mean_ = X.mean(axis=0)
        self.whitening_all_ = self._whitening(X - self.mean_, "all rows are equal: pass rows that vary.")

    def _clustered(self, X: Array) -> Array:
        if self.n_clusters < 2:
            raise OodlibError(f"n_clusters is {self.n_clusters}: pass at least 2, or labels.")
        # Classes of one row or two would leave no spread within classes.
        number = min(self.n_clusters, max(2, len(X) // 5))
        labels: Array = KMeans(number, random_state=self.random_state).fit_predict(X)
        return labels

    def score_block(self, X: Array) -> Array:
        score: Array = np.square((X - self.mean_) @ self.whitening_all_).sum(axis=1) + super().score_block(X)
        return score
