"""CSP: NegLabel with labels that stand for whole superclasses, and without those that repeat a class."""

from oodlib.arrays import Array, largest, namespace, quantile
from oodlib.detectors._outliers import over_candidates
from oodlib.detectors.neg_label import NegLabel


def nearness(candidates: Array, text: Array, q: float, max_similarity: float) -> Array:
    """The quantile of each candidate's cosines with the classes; 1 for one that is too near to a class.

    Parameters
    ----------
    candidates : tensor or array, shape (K, D)
    text : tensor or array, shape (C, D)
    q : float
        The quantile.
    max_similarity : float
        Largest cosine with a class.

    Returns
    -------
    tensor or array, shape (K,)
    """

    def last_if_near(cosines: Array) -> Array:
        return namespace(cosines).where(largest(cosines) > max_similarity, 1.0, quantile(cosines, q))

    return over_candidates(candidates, text, last_if_near)


class CSP(NegLabel):
    r"""NegLabel's score over a conjugated semantic pool: nouns, and phrases such as "blue thing".

    Mining and score are those of `NegLabel`, with one difference: a candidate whose best cosine with a class exceeds
    `max_similarity` is put last, as if its :math:`d_j` were 1. Larger = more in-distribution.

    The pool is ready before: `oodlib.outlier_labels.superclass_phrases` turns each adjective into a phrase, nouns and
    classes are encoded with the template set "csp-noun", phrases with "csp-adjective" (`oodlib.prompts.sets`); the
    authors leave out WordNet's noun.person, noun.quantity, noun.group and adj.pert.

    Parameters
    ----------
    quantile, keep, groups, temperature, random_state
        As in `NegLabel`.
    max_similarity : float, default=0.95
        Cosine with a class above which a candidate is put last; it is kept only if `keep` reaches so far.

    Attributes
    ----------
    selected_, outlier_names_, outlier_text_, group_rows_
        As in `NegLabel`.

    Notes
    -----
    The authors average the *raw* text features of the templates and normalise the mean, so a prompt with a longer
    feature counts more. The encoders of this package normalise each prompt's feature first, as CLIP does; pass text
    features of your own where that difference matters.

    References
    ----------
    Chen et al., Conjugated Semantic Pool Improves OOD Detection with Pre-trained Vision-Language Models, NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from oodlib.concepts import Concepts
    >>> concepts = Concepts(["cat"], torch.eye(3)[:1], outlier_names=["cat", "bus"], outlier_text=torch.eye(3)[:2])
    >>> CSP(keep=1.0).fit(concepts).outlier_names_
    ('bus', 'cat')
    """

    def __init__(
        self,
        quantile: float = 0.95,
        keep: float = 0.15,
        groups: int = 100,
        temperature: float = 0.01,
        random_state: int = 0,
        max_similarity: float = 0.95,
    ):
        super().__init__(quantile, keep, groups, temperature, random_state)
        self.max_similarity = max_similarity

    def similarity(self, candidates: Array) -> Array:
        return nearness(candidates, self.text_, self.quantile, self.max_similarity)
