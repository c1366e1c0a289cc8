"""What detectors on classes of rows share: their means, and a whitening map."""

import numpy as np
from sklearn.covariance import ShrunkCovariance, ledoit_wolf_shrinkage

from oodlib.errors import OodlibError
from oodlib.feature_detectors.base import Array


def class_places(labels: Array) -> Array:
    """Return the place of each row's class among all classes in order: (N,) -> (N,) of int."""
    try:
        places: Array = np.unique(labels, return_inverse=True)[1]
    except TypeError as error:
        raise OodlibError("y mixes labels that cannot be sorted: pass numbers only, or strings only.") from error
    return places


def class_means(X: Array, labels: Array) -> tuple[Array, Array]:
    """Return the mean of each class, (C, D), and the place of each row's class among them, (N,)."""
    places = class_places(labels)
    counts = np.bincount(places)
    sums = np.zeros((len(counts), X.shape[1]))
    np.add.at(sums, places, X)
    return sums / counts[:, None], places


def enough_shrinkage(centred: Array, n_classes: int) -> float:
    """Return the shrinkage for rows (N, D) of mean 0: none where they are plenty, else Ledoit and Wolf's.

    A covariance of fewer rows than columns has no inverse, and one of hardly more is inverted with large errors. Plenty
    is twice as many as columns and classes together.
    """
    rows, columns = centred.shape
    return 0.0 if rows >= 2 * (columns + n_classes) else float(ledoit_wolf_shrinkage(centred, assume_centered=True))


def whitening(centred: Array, shrinkage: float, remedy: str) -> Array:
    r"""Return A, shape (D, r), with :math:`A A^\top` the (pseudo-)inverse of the covariance of rows of mean 0.

    Directions in which the rows do not vary at all have no inverse and are left out.

    Parameters
    ----------
    centred : array, shape (N, D)
    shrinkage : float
        Share, 0 to 1, of the mean variance times the identity in the covariance.
    remedy : str
        What to say to whoever passed rows that do not vary.
    """
    if not 0 <= shrinkage <= 1:
        raise OodlibError(f"shrinkage is {shrinkage}: pass a share from 0 to 1.")
    estimate = ShrunkCovariance(shrinkage=shrinkage, assume_centered=True, store_precision=False).fit(centred)
    values, vectors = np.linalg.eigh(estimate.covariance_)
    if values[-1] <= np.finfo(np.float64).tiny:
        raise OodlibError(remedy)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    whiten: Array = vectors[:, kept] / np.sqrt(values[kept])
    return whiten
