"""How far the k-th nearest training feature is."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from oodlib.errors import OodlibError
from oodlib.feature_detectors._gaussian import class_places
from oodlib.feature_detectors.base import Array, FeatureDetector


class KNN(FeatureDetector):
    r"""The squared distance from a unit feature to its k-th nearest neighbour among those of the training set, negated.

    .. math:: S(z) = -\left\lVert \frac{z}{\lVert z \rVert} - \frac{z_{(k)}}{\lVert z_{(k)} \rVert} \right\rVert^2

    On unit features it is twice the k-th largest cosine, minus 2. Larger = more in-distribution.

    Parameters
    ----------
    n_neighbors : int or None, default=None
        Which neighbour, k; with fewer training rows, the farthest. None takes 50 as OpenOOD does, but no more than half
        of the rows of a class (of the median one), or without labels a tenth of all: a k-th neighbour that is one of
        another class says nothing.
    contamination : float, default=0.05
        Share of training rows below `offset_`.

    Attributes
    ----------
    index_ : NearestNeighbors
        The unit training features, fitted; distances are computed in chunks, not as one matrix.

    Notes
    -----
    A training row is its own nearest neighbour, at distance 0. With ``n_neighbors=1`` all training rows therefore score
    0, and `offset_` is of no use until it is set from other rows. A feature of zeros stays one.

    References
    ----------
    Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022; the default is OpenOOD's
    (knn_postprocessor.py, commit 3c35632) where there are rows enough.

    Examples
    --------
    >>> detector = KNN(n_neighbors=1).fit([[1.0, 0.0], [0.0, 2.0]])
    >>> bool(detector.score_samples([[5.0, 0.0]]) > detector.score_samples([[1.0, 1.0]]))
    True
    """

    index_: NearestNeighbors

    def __init__(self, n_neighbors: int | None = None, *, contamination: float = 0.05):
        self.n_neighbors = n_neighbors
        self.contamination = contamination

    def learn(self, X: Array, labels: Array | None) -> None:
        k = _few(len(X), labels) if self.n_neighbors is None else self.n_neighbors
        if k < 1:
            raise OodlibError(f"n_neighbors is {k}: pass at least 1, or None.")
        nearest = min(k, len(X))
        # Trees do not help with hundreds of columns; a brute search is exact and streams.
        self.index_ = NearestNeighbors(n_neighbors=nearest, algorithm="brute").fit(normalize(X))

    def score_block(self, X: Array) -> Array:
        distances, _ = self.index_.kneighbors(normalize(X))
        score: Array = -np.square(distances[:, -1])
        return score


def _few(rows: int, labels: Array | None) -> int:
    """The neighbour to take by default: one of the same class as the nearest, if rows are as many as they should be."""
    mates = rows / 10 if labels is None else np.median(np.bincount(class_places(labels))) / 2
    return max(1, min(50, int(mates)))
