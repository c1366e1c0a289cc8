r"""The parts of outlier label exposure, one function each: cluster the labels, filter the centres, mix hard ones.

All features are L2-normalised float32 rows of D dimensions, so that a product of rows is a cosine. Cosines of many rows
with many are computed a block at a time: no matrix of more than 2^24 cells is held.

References
----------
Ding and Pang, Zero-Shot Out-of-Distribution Detection with Outlier Label Exposure, IJCNN 2024; released code
Choubo/OLE, whose steps and constants these functions follow.
"""

import functools
import random
from typing import Literal, get_args

import numpy as np

from oodlib.arrays import Array, as_numpy, join, like, normalize, split, top_k
from oodlib.errors import OodlibError

Clustering = Literal["kmeans", "gmm"]

_CELLS = 2**24  # cosines in memory at once: 64 MB in float32
_MANY = 20_000  # rows from which on k-means is run to its end on a sample, and its centres move on once with all
_SAMPLE = 12_000  # rows of the sample


def learn_prototypes(outlier_text: Array, n: int | None, cluster: Clustering = "kmeans", seed: int = 42) -> Array:
    r"""Condense outlier labels into prototypes: the L2-normalised centres of `n` clusters.

    .. math:: o_k = \mu_k / \lVert \mu_k \rVert

    Parameters
    ----------
    outlier_text : tensor or array, shape (K, D)
        Text feature of each outlier label.
    n : int or None
        Number of prototypes. Where there are no more labels than that, or at None, every label is its own prototype.
    cluster : {"kmeans", "gmm"}
        "gmm" is a Gaussian mixture of full covariance, as in the released code. With fewer labels in a cluster than
        dimensions it hardly moves from where k-means starts it, so "kmeans" alone is the fast form of the same. Of more
        than 20,000 labels, 12,000 that `seed` draws find the clusters, and all of them the centres.
    seed : int
        Where the clustering starts. The order of the labels acts like a seed, too.

    Returns
    -------
    tensor or array, shape (P, D)
        P = min(n, K) prototypes, in the order of the clusters.
    """
    if n is not None and n < 1:
        raise OodlibError(f"{n} prototypes: learn at least one, or pass None to use every outlier label.")
    if n is None or n >= len(outlier_text):
        _check_clustering(cluster)
        return outlier_text
    return _cluster(outlier_text, n, cluster, seed)[0]


def filter_prototypes(prototypes: Array, id_text: Array, quantile: float = 0.1) -> tuple[Array, float]:
    r"""Keep the prototypes that are far from every class.

    .. math:: a_k = \max_{i \le C} o_k^\top t_i, \qquad \text{keep } o_k \text{ where } a_k < \theta = Q_q(a)

    Parameters
    ----------
    prototypes : tensor or array, shape (P, D)
    id_text : tensor or array, shape (C, D)
        Text feature of each class.
    quantile : float
        The share q of prototypes to keep, above 0 and at most 1. The cut is strict and the quantile interpolates, in
        float32 as in the released code: at 1 the closest prototype falls out, and a single one always does.

    Returns
    -------
    kept : tensor or array, shape (P', D)
        In the order of `prototypes`; none where all are equally close.
    threshold : float
        The cosine :math:`\theta`.
    """
    if not 0 < quantile <= 1:
        raise OodlibError(f"quantile={quantile}: the share of prototypes to keep is above 0 and at most 1.")
    closeness = closest(prototypes, id_text)[0][:, 0]
    threshold = float(np.quantile(as_numpy(closeness), quantile))
    return prototypes[closeness < threshold], threshold


def boundary_embeddings(
    id_text: Array, n_clusters: int = 5, each: int = 30, cluster: Clustering = "kmeans", seed: int = 42
) -> Array:
    """Pick the classes at the border of the known: in each cluster of classes, those farthest from its centre.

    The released code takes `each` classes from every cluster and stops with an error where one is smaller, so always
    below ``n_clusters * each`` classes. Here a cluster gives what it has, and there are only as many clusters as can
    have `each` members on average: ``max(1, min(n_clusters, C // each))``. Where the released code runs, the result is
    equal. With 10 classes all of them are one cluster, ordered from the least typical to the most.

    Parameters
    ----------
    id_text : tensor or array, shape (C, D)
        Text feature of each class.
    n_clusters, each : int
        The largest number of clusters, and of classes taken from one.
    cluster, seed
        As in `learn_prototypes`.

    Returns
    -------
    tensor or array, shape (B, D)
        B <= n_clusters * each rows of `id_text`; cluster after cluster, each by rising cosine with its centre.
    """
    if n_clusters < 1 or each < 1:
        raise OodlibError(f"n_clusters={n_clusters}, each={each}: take at least one class from at least one cluster.")
    n = max(1, min(n_clusters, len(id_text) // each))
    centres, labels = _cluster(id_text, n, cluster, seed)
    chosen = []
    for place, centre in enumerate(centres):
        members = id_text[np.flatnonzero(labels == place)]
        chosen.append(members[(members @ centre).argsort(stable=True)[:each]])
    return join(chosen)


def hard_prototypes(
    boundary: Array,
    kept: Array,
    id_text: Array,
    threshold: float,
    mix: tuple[float, float] = (0.0, 0.5),
    seed: int = 42,
) -> Array:
    r"""Mix each boundary class with its nearest outlier prototype, and keep the mixtures that are no class.

    .. math:: h = \frac{f b + (1 - f) o^*}{\lVert f b + (1 - f) o^* \rVert}, \quad
        o^* = \arg\max_{o \in O} b^\top o, \quad f \sim U(\text{mix}), \qquad
        \text{keep } h \text{ where } \max_{i \le C} h^\top t_i < \theta

    Parameters
    ----------
    boundary : tensor or array, shape (B, D)
        From `boundary_embeddings`.
    kept : tensor or array, shape (P', D)
        Outlier prototypes to mix with.
    id_text : tensor or array, shape (C, D)
        Text feature of each class.
    threshold : float
        The cosine :math:`\theta` of `filter_prototypes`.
    mix : (float, float)
        Range of the factor f, the share of the class, within 0 to 1.
    seed : int
        Of the factors, drawn one for each boundary class in order by Python's own generator, as the released code does.

    Returns
    -------
    tensor or array, shape (H, D)
        H <= B mixtures in the order of `boundary`; often none.
    """
    low, high = mix
    if not 0 <= low <= high <= 1:
        raise OodlibError(f"mix={mix}: the share of the class lies in a range within 0 to 1, such as (0.0, 0.5).")
    if not len(kept):
        raise OodlibError("there is no outlier prototype to mix with: raise the quantile or pass more outlier labels.")
    draw = random.Random(seed)
    share = like(np.array([[draw.uniform(low, high)] for _ in range(len(boundary))]), boundary)
    nearest = kept[closest(boundary, kept)[1][:, 0]]
    mixed = normalize(share * boundary + (1 - share) * nearest)
    return mixed[closest(mixed, id_text)[0][:, 0] < threshold]


def closest(rows: Array, others: Array, top: int = 1) -> tuple[Array, Array]:
    """Find the largest cosines of each row with other rows, and where they are, in bounded memory: twice (N, top).

    >>> closest(np.array([[0.6, 0.8]]), np.eye(2))
    (array([[0.8]]), array([[1]]))
    """
    blocks = [top_k(block @ others.T, top) for block in split(rows, max(1, _CELLS // len(others)))]
    return join([cosines for cosines, _ in blocks]), join([places for _, places in blocks])


def _cluster(rows: Array, n: int, cluster: Clustering, seed: int) -> tuple[Array, np.ndarray]:
    """Cluster rows: L2-normalised centres (n, D), and the cluster of each row (N,)."""
    _check_clustering(cluster)
    matrix = np.ascontiguousarray(as_numpy(rows), dtype=np.float32)
    centres, labels = _centres(matrix.tobytes(), matrix.shape[1], n, cluster, seed)
    return normalize(like(centres, rows)), labels


@functools.lru_cache(maxsize=8)  # detectors that differ behind the clustering share it; eight lists of words are 80 MB
def _centres(content: bytes, width: int, n: int, cluster: Clustering, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster the rows of a float32 matrix with scikit-learn: centres (n, D) and labels (N,), not to be written to."""
    # not above: a detector that was fitted before is restored and scores without them
    from sklearn.cluster import KMeans, kmeans_plusplus
    from sklearn.mixture import GaussianMixture

    matrix = np.frombuffer(content, dtype=np.float32).reshape(-1, width)
    if cluster == "kmeans":
        few = matrix
        if len(matrix) > max(_MANY, n):
            few = matrix[np.random.default_rng(seed).choice(len(matrix), max(_SAMPLE, n), replace=False)]
        # KMeans would start from the same rows by itself, but finds them several times slower in float32.
        start = kmeans_plusplus(few.astype(np.float64), n, random_state=seed)[0].astype(np.float32)
        model = KMeans(n, init=start, n_init=1).fit(few)
        if few is not matrix:
            model = KMeans(n, init=model.cluster_centers_, n_init=1, max_iter=1).fit(matrix)
        return model.cluster_centers_, model.labels_
    model = GaussianMixture(n, random_state=seed).fit(matrix)
    return model.means_, model.predict(matrix)


def _check_clustering(cluster: str) -> None:
    if cluster not in get_args(Clustering):
        raise OodlibError(f"cluster={cluster!r}: choose kmeans or gmm.")
