"""NegLabel: words that are far from every class, as labels of what is not in-distribution."""

import numpy as np

from oodlib.arrays import Array, like, quantile
from oodlib.concepts import Concepts
from oodlib.detectors._outliers import (
    OutlierDetector,
    by_group,
    check_mining,
    farthest,
    group_rows,
    known_odds,
    over_candidates,
)


class NegLabel(OutlierDetector):
    r"""How much of a softmax over classes and mined negative words falls on the classes.

    Mining: of every candidate word j take the quantile :math:`d_j` of its cosines with all classes; keep the share
    `keep` with the smallest :math:`d_j`, among nouns and among adjectives separately (`Concepts.outlier_kinds`). The
    kept words are dealt into groups G by a fixed permutation, and

    .. math::

        S(x) = \frac1{|G|} \sum_{g \in G}
        \frac{\sum_{i \le C} e^{s_i/\tau}}{\sum_{i \le C} e^{s_i/\tau} + \sum_{j \in g} e^{s^-_j/\tau}}

    with cosines :math:`s_i = v^\top t_i` to the classes and :math:`s^-_j = v^\top n_j` to the kept words. Larger = more
    in-distribution.

    Parameters
    ----------
    quantile : float, default=0.95
        Which quantile of a word's cosines says how near it is to the classes; 1 is the nearest class.
    keep : float, default=0.15
        Share of each kind of word that is kept; 1 keeps all.
    groups : int, default=100
        Number of groups; 1 is the score of the paper's formula without groups. What does not fill the groups evenly,
        fewer words than groups, is left out of the score; with fewer words than groups, each word is a group.
    temperature : float, default=0.01
        Divides the raw cosine: CLIP's own scale.
    random_state : int, default=0
        Of the permutation, drawn on the CPU. The authors' code draws it on the GPU, which gives another one.

    Attributes
    ----------
    selected_ : array of int, shape (M,)
        Which outlier labels were kept: nouns first if they came first, in each kind the farthest first.
    outlier_names_ : tuple of str, length M
        Their names, in that order.
    outlier_text_ : tensor or array, shape (M, D)
        Their text features, in that order.
    group_rows_ : array of int, shape (groups, M // groups)
        Which rows of `outlier_text_` make each group.

    Raises
    ------
    OodlibError
        If the concepts have no outlier labels.

    Notes
    -----
    The authors write classes and nouns into "the nice {}" and adjectives into "This is a {} photo" (the template sets
    "nice" and "nice-adjective" of `oodlib.prompts.sets`), take about 70,000 words of WordNet and keep about 10,500.

    References
    ----------
    Jiang et al., Negative Label Guided OOD Detection with Pretrained Vision-Language Models, ICLR 2024.

    Examples
    --------
    >>> import torch
    >>> concepts = Concepts(["cat"], torch.eye(3)[:1], outlier_names=["lynx", "bus"], outlier_text=torch.eye(3)[:2])
    >>> detector = NegLabel(keep=0.5).fit(concepts)
    >>> detector.outlier_names_
    ('bus',)
    >>> scores = detector.score_samples(torch.tensor([[1.0, 0.0, 0.0], [0.7071, 0.7071, 0.0]]))
    >>> scores, detector.to_paper(scores)
    (tensor([100.,   0.]), tensor([1.0000, 0.5000]))
    """

    selected_: np.ndarray
    group_rows_: np.ndarray

    def __init__(
        self,
        quantile: float = 0.95,
        keep: float = 0.15,
        groups: int = 100,
        temperature: float = 0.01,
        random_state: int = 0,
    ):
        self.quantile = quantile
        self.keep = keep
        self.groups = groups
        self.temperature = temperature
        self.random_state = random_state

    @property
    def bounds(self) -> tuple[float, float]:
        """No mass on the classes, and all."""
        return 0.0, 1.0

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        check_mining(self, self.quantile, self.groups, keep=self.keep)
        self.selected_ = farthest(self.similarity(self.outlier_text_), concepts.outlier_kinds, self.keep)
        self.restrict(self.selected_)
        self.group_rows_ = group_rows(len(self.selected_), self.groups, self.random_state)

    def similarity(self, candidates: Array) -> Array:
        """How near each candidate is to the classes, after which they are mined: (K, D) -> (K,)."""
        return over_candidates(candidates, self.text_, lambda cosines: quantile(cosines, self.quantile))

    def score_block(self, features: Array) -> Array:
        return self.grouped(features, self.cosines(features), like(self.outlier_text_, features))

    def grouped(self, features: Array, known: Array, unknown: Array) -> Array:
        """Score (n, D), given its cosines with the classes (n, C), against features of the kept labels (M, D)."""
        logits = by_group(features / self.temperature, unknown, self.group_rows_)  # fewer features than cosines
        return known_odds(known / self.temperature, logits)
