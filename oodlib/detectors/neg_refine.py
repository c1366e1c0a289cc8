"""NegRefine: negative labels without kinds of a class, and pictures that show a class beside something else."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oodlib.arrays import Array, as_numpy, join, largest, like, split, top_k
from oodlib.concepts import Concepts
from oodlib.datasets.hypernyms import kinds_of, proper_names
from oodlib.datasets.wordnet import normal
from oodlib.detectors._log_odds import weighted_sum
from oodlib.detectors._outliers import group_rows
from oodlib.detectors.csp import CSP
from oodlib.errors import OodlibError

_HOT = 2**22  # numbers in features of pairs at once: 16 MB


def neither_kind_nor_name(words: Sequence[str], names: Sequence[str]) -> list[bool]:
    """Tell which words name no kind of a class and no single thing, as far as WordNet knows.

    >>> neither_kind_nor_name(["poodle", "dog", "everest", "bus", "blue thing"], ["dog"])
    [False, False, False, True, True]
    """
    taken = kinds_of(names) | proper_names()
    return [normal(word) not in taken for word in words]


class NegRefine(CSP):
    r"""CSP's score without words for kinds of a class, plus how well a class *and* a word fit the picture together.

    Mining is that of `CSP`. Of the words that it keeps, those leave that name a kind of a class or one single thing: a
    poodle is a dog, and Everest no kind of thing. To the grouped score :math:`S_g` of the others comes

    .. math::

        S(x) = S_g(x) + \lambda \max_{i, j} \frac{e^{v^\top e(p_i, n_j) / \tau}}
        {e^{v^\top e(p_i, n_j) / \tau} + e^{v^\top n_j / \tau}}

    over the five best classes :math:`p_i` and the five best words :math:`n_j` of the picture, where :math:`e` is the
    text feature of "<class> and <word>": a picture of a dog on a sofa fits "dog and sofa" better than "sofa". Larger =
    more in-distribution.

    Parameters
    ----------
    quantile, keep, groups, temperature, random_state, max_similarity
        As in `CSP`.
    weight : float, default=2.0
        The :math:`\lambda`, 0 or more.
    best : int, default=5
        How many classes and how many words make pairs; all, if there are fewer.
    hypernyms : bool, default=True
        Whether words leave after WordNet (`neither_kind_nor_name`). The authors ask a language model instead
        (`oodlib.outlier_labels.refine`): with its words as the outlier labels, pass False and ``keep=1.0``.

    Attributes
    ----------
    selected_, outlier_names_, outlier_text_, group_rows_
        As in `NegLabel`.
    names_ : tuple of str, length C
        The classes' names.
    encode_ : callable or None
        `Concepts.encode`. It is no part of `state`: set it again after `restore`.

    Raises
    ------
    OodlibError
        If the concepts have no outlier labels or no text tower, or no word is left.

    Notes
    -----
    Texts of pairs are made while pictures are scored, up to 25 a picture: that is where the time goes. The authors
    write pairs, like nouns, into CSP's eight sentences; what `Concepts.encode` does with them is up to its maker.

    References
    ----------
    Ansari et al., NegRefine: Refining Negative Label-Based Zero-Shot OOD Detection, ICCV 2025.

    Examples
    --------
    >>> import torch
    >>> texts = {"dog": [1.0, 0, 0], "bus": [0, 1.0, 0], "poodle": [0.8, 0.6, 0], "dog and bus": [0.7071, 0.7071, 0]}
    >>> concepts = Concepts(["dog"], torch.tensor([texts["dog"]]), ["bus", "poodle"],
    ...     torch.tensor([texts["bus"], texts["poodle"]]), encode=lambda some: torch.tensor([texts[t] for t in some]))
    >>> detector = NegRefine(keep=1.0, temperature=0.1).fit(concepts)
    >>> detector.outlier_names_
    ('bus',)
    >>> detector.to_paper(detector.score_samples(torch.tensor([[0.6, 0.8, 0.0], [0.0, 1.0, 0.0]])))
    tensor([1.8588, 0.1015])
    """

    requires = (*CSP.requires, "encode")

    names_: tuple[str, ...]
    encode_: Callable[[Sequence[str]], Array] | None

    def __init__(
        self,
        quantile: float = 0.95,
        keep: float = 0.15,
        groups: int = 100,
        temperature: float = 0.01,
        random_state: int = 0,
        max_similarity: float = 0.95,
        weight: float = 2.0,
        best: int = 5,
        hypernyms: bool = True,
    ):
        super().__init__(quantile, keep, groups, temperature, random_state, max_similarity)
        self.weight = weight
        self.best = best
        self.hypernyms = hypernyms

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        if self.weight < 0 or self.best < 1:
            raise OodlibError(f"{self!r}: the weight of pairs must be 0 or more, and best at least 1.")
        self.names_ = concepts.names
        self.encode_ = concepts.require("encode", by=type(self).__name__)
        if not self.hypernyms:
            return
        rows = np.flatnonzero(neither_kind_nor_name(self.outlier_names_, self.names_))
        if not len(rows):
            raise OodlibError(
                f"{self!r}: every mined word is a kind of a class or a proper name: pass more outlier labels, keep "
                "more, or leave the filter out (hypernyms=False)."
            )
        self.selected_ = self.selected_[rows]
        self.restrict(rows)
        self.group_rows_ = group_rows(len(rows), self.groups, self.random_state)

    @property
    def bounds(self) -> tuple[float, float]:
        """All mass on words, and all on classes, alone and in pairs."""
        return 0.0, 1.0 + self.weight

    def state(self) -> dict[str, Any]:
        """As in every detector, but without the text tower, which no file holds."""
        bare = type(self)(**self.get_params())
        vars(bare).update(vars(self) | {"encode_": None})
        return super(NegRefine, bare).state()

    def score_block(self, features: Array) -> Array:
        known = self.cosines(features)
        grouped = self.grouped(features, known, like(self.outlier_text_, features))
        return weighted_sum(grouped, self.best_pair(features, known), self.weight) if len(features) else grouped

    def best_pair(self, features: Array, known: Array) -> Array:
        """How well the best pair fits, beside its word alone, as log-odds: (n, D), (n, C) -> (n,)."""
        if self.encode_ is None:
            raise OodlibError(f"{self!r} was restored without a text tower: set its encode_ to that of the model.")
        classes = as_numpy(top_k(known, min(self.best, known.shape[1]))[1])
        cosines, words = top_k(self.outlier_cosines(features), min(self.best, len(self.outlier_names_)))
        pairs = classes[:, :, None] * len(self.outlier_names_) + as_numpy(words)[:, None, :]
        asked, places = np.unique(pairs, return_inverse=True)  # pictures share pairs
        each = [divmod(int(pair), len(self.outlier_names_)) for pair in asked]
        text = like(self.encode_([f"{self.names_[i]} and {self.outlier_names_[j]}" for i, j in each]), features)
        places = places.reshape(pairs.shape)
        rows = max(1, _HOT // (places[0].size * features.shape[1]))
        fits = [
            (text[some] * part[:, None, None]).sum(-1)
            for some, part in zip(split(places, rows), split(features, rows), strict=True)
        ]
        odds = (join(fits) - cosines[:, None, :]) / self.temperature
        return largest(odds.reshape(len(odds), -1))
