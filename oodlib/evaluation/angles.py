"""How the classes of a feature space lie: how far apart, and how tightly each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodlib.arrays import as_numpy, normalize
from oodlib.errors import OodlibError


def dispersion(features: Any, labels: Any) -> float:
    r"""The mean angle between two class prototypes, in degrees; larger, the farther apart the classes.

    .. math:: \frac{2}{C (C - 1)} \sum_{a < b} \arccos \mu_a^\top \mu_b

    A prototype is the mean of the features of a class as they come, scaled to length 1.

    Parameters
    ----------
    features : array or tensor
        (N, D).
    labels : array
        (N,): the class of each row, numbers or strings.

    Returns
    -------
    float
        0 to 180.

    Raises
    ------
    OodlibError
        If there is one class only.

    References
    ----------
    Ming et al., How to Exploit Hyperspherical Embeddings for Out-of-Distribution Detection?, ICLR 2023 (CIDER), as in
    Uppaal/lm-ood, commit 2b360ba.

    Examples
    --------
    >>> dispersion([[2.0, 0.0], [4.0, 0.0], [0.0, 1.0]], ["a", "a", "b"])
    90.0
    """
    prototypes, _ = _prototypes(features, labels)
    if len(prototypes) < 2:
        raise OodlibError("there is one class only: an angle lies between two")
    pairs = np.triu_indices(len(prototypes), 1)
    return float(_degrees((prototypes @ prototypes.T)[pairs]).mean())


def compactness(features: Any, labels: Any) -> float:
    """The mean angle of a feature to the prototype of its class, in degrees, a mean of classes; smaller = tighter.

    Parameters and source as of `dispersion`.

    Examples
    --------
    >>> compactness([[2.0, 0.0], [4.0, 0.0], [0.0, 1.0]], ["a", "a", "b"])
    0.0
    """
    prototypes, places = _prototypes(features, labels)
    unit = normalize(as_numpy(features).astype(np.float64))
    angles = _degrees((unit * prototypes[places]).sum(axis=1))
    return float(np.mean([angles[places == place].mean() for place in range(len(prototypes))]))


def _prototypes(features: Any, labels: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rows = as_numpy(features).astype(np.float64)
    _, places = np.unique(np.asarray(labels), return_inverse=True)
    if rows.ndim != 2 or len(rows) != len(places):
        raise OodlibError(f"features have shape {rows.shape} for {len(places)} labels: pass one row for each")
    means = np.stack([rows[places == place].mean(axis=0) for place in range(places.max() + 1)])
    return normalize(means), places


def _degrees(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arccos(np.clip(cosines, -1, 1)))
