"""CLIPScope: the nearest and the farthest words, and a prior from the classes seen so far."""

import numpy as np

from oodlib.arrays import Array, as_numpy, join, like, sigmoid, top_k
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import largest_share, product
from oodlib.detectors._outliers import OutlierDetector, known_odds, over_candidates
from oodlib.errors import OodlibError


def both_ends(candidates: Array, text: Array, rank: int, each_side: int) -> np.ndarray:
    """Choose the words that are farthest from the classes and those that are nearest.

    Parameters
    ----------
    candidates : tensor or array, shape (K, D)
    text : tensor or array, shape (C, D)
    rank : int
        A word's similarity is its `rank`-th largest cosine with a class, at most C.
    each_side : int
        How many words from each end.

    Returns
    -------
    array of int, shape (2 * each_side,)
        Rows by similarity: the farthest ascending, then the nearest ascending; with fewer words, all of them, once.
    """
    similarity = over_candidates(candidates, text, lambda cosines: top_k(cosines, rank)[0][:, -1])
    order = as_numpy(similarity).argsort(stable=True)
    return np.concatenate([order[:each_side], order[max(each_side, len(order) - each_side) :]])


def running_share(predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return each picture's share of its class among the predictions before it: (N,) -> (N,) in float64.

    Every class starts with a count of 1.

    >>> running_share(np.array([0, 0, 1, 0]), classes=2).round(4)
    array([0.5   , 0.6667, 0.25  , 0.6   ])
    """
    order = predicted.argsort(stable=True)
    counts = np.bincount(predicted, minlength=classes)
    place = np.arange(len(predicted))
    earlier = np.empty_like(predicted)
    earlier[order] = place - (counts.cumsum() - counts)[predicted[order]]  # place within its own class
    return (1 + earlier) / (classes + place)


class CLIPScope(OutlierDetector):
    r"""Confidence in the best class and in the classes as a whole, divided by how common that class has been so far.

    .. math:: S(x_m) = \frac{p_{c^*} \, P_{ID}}{\pi_{c^*}}, \qquad p = \operatorname{softmax}_{i \le C}(s_i / \tau),
        \qquad P_{ID} = \sum_{i \le C} \operatorname{softmax}([s; s^-] / \tau)_i, \qquad
        \pi_c = \frac{1 + n_c}{C + m}

    for the picture number m of the stream, counted from 0, where :math:`c^*` is its best class and :math:`n_c` counts
    the pictures before it, ID or not, whose best class was c. The :math:`s^-` are cosines with mined words: those
    farthest from the classes and those nearest to them. Larger = more in-distribution; there is no upper bound.

    **The score depends on the order of the pictures** within one `score_samples` call; counts begin anew in each.
    `oodlib.evaluation.score` mixes ID and OOD pictures in an order fixed by a seed.

    The prior is another number for every picture, so that log-odds of the numerator would rank differently. Scores are
    S itself: two pictures of one prior whose numerators are 1 to 6e-8 tie in float32, and in float64 they do not.

    Parameters
    ----------
    rank : int, default=50
        A word's similarity to the classes is its `rank`-th largest cosine; 50 is meant for 1,000 classes. Where there
        are fewer classes than `rank`, it stands for the same share of them: ``round(rank / 1000 * C)``, at least 1.
    each_side : int, default=5000
        How many of the farthest and of the nearest words are used. With fewer than twice as many, all are.
    temperature : float, default=0.01
        Divides the raw cosine: CLIP's own scale.

    Attributes
    ----------
    rank_ : int
        The rank in use.
    selected_ : array of int, shape (M,)
        Which outlier labels are used: the farthest, then the nearest.
    outlier_names_ : tuple of str, length M
    outlier_text_ : tensor or array, shape (M, D)

    Raises
    ------
    OodlibError
        If the concepts have no outlier labels.

    Notes
    -----
    Here a word has one text feature. The authors mine with "the {}" and score with "a photo of a {}" for the farthest
    and "a photo of {}" for the nearest words. To do the same, mine with `both_ends`, and fit to concepts that have
    only the chosen words, encoded for scoring. Nothing keeps synonyms of the classes from the nearest words.

    References
    ----------
    Fu et al., CLIPScope: Enhancing Zero-Shot OOD Detection with Bayesian Scoring, WACV 2025.

    Examples
    --------
    >>> import torch
    >>> concepts = Concepts(["cat", "dog"], torch.eye(4)[:2], outlier_names=["bus"], outlier_text=torch.eye(4)[2:3])
    >>> CLIPScope().fit(concepts).score_samples(torch.eye(4)[[0, 0, 1]])
    tensor([2.0000, 1.5000, 4.0000])
    """

    order_dependent = True
    transductive = True

    rank_: int
    selected_: np.ndarray

    def __init__(self, rank: int = 50, each_side: int = 5000, temperature: float = 0.01):
        self.rank = rank
        self.each_side = each_side
        self.temperature = temperature

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        if self.rank < 1 or self.each_side < 1:
            raise OodlibError(f"{self!r}: rank and each_side are counts, so they must be at least 1.")
        classes = len(self.text_)
        self.rank_ = self.rank if self.rank <= classes else min(classes, max(1, round(self.rank / 1000 * classes)))
        self.selected_ = both_ends(self.outlier_text_, self.text_, self.rank_, self.each_side)
        self.restrict(self.selected_)

    def score_stream(self, matrix: Array) -> Array:
        found = [self.predict_block(block) for block in self.blocks(matrix)]
        predicted, confidence = (join(part) for part in zip(*found, strict=True))
        return confidence / like(running_share(as_numpy(predicted), len(self.text_)), confidence)

    def score_block(self, features: Array) -> Array:
        """Score a block as a stream of its own."""
        return self.score_stream(features)

    def predict_block(self, features: Array) -> tuple[Array, Array]:
        """Return the best class and the score before it is divided by the prior: (n, D) -> (n,), (n,)."""
        known = self.cosines(features) / self.temperature
        unknown = self.outlier_cosines(features) / self.temperature
        return known.argmax(-1), sigmoid(product(largest_share(known), known_odds(known, unknown[:, None])))
