"""Outlier label exposure."""

from oodlib.arrays import Array, join, like
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import product
from oodlib.detectors._no import agreeing_to_differ
from oodlib.detectors._outliers import OutlierDetector, known_odds
from oodlib.detectors._prototypes import (
    Clustering,
    boundary_embeddings,
    closest,
    filter_prototypes,
    hard_prototypes,
    learn_prototypes,
)
from oodlib.errors import OodlibError


class OLE(OutlierDetector):
    r"""How much of the picture the classes explain, against prototypes learned from thousands of outlier labels.

    .. math:: S(x) = \sum_{i \le C} p_i
        \frac{e^{s_i/\tau}}{\sum_{j \le C} e^{s_j/\tau} + \sum_{o \in O} e^{v^\top o/\tau}}, \qquad
        p_i = \frac{e^{s_i/\tau}}{e^{s_i/\tau} + e^{\bar{s}_i/\tau}}

    `s` are the cosines of an image `v` with the names, :math:`\bar{s}` those with their "no" features. Larger = more
    in-distribution. The bank O is learned in three parts (`oodlib.detectors._prototypes`): clusters of the outlier
    labels; of these the ones far from every class; and hard ones, mixed from classes at the border and their nearest
    prototype. The score is a product: the share of the classes in the softmax, times the score of `ClipnATD` at the
    same temperature.

    Parameters
    ----------
    n_prototypes : int or None, default=500
        Clusters of outlier labels. With None, or with no more labels than that, every label is its own prototype.
    quantile : float, default=0.1
        Share of the prototypes that the filter keeps; the cut is also the limit for hard prototypes.
    temperature : float, default=0.02
        Divides the raw cosines; the released code multiplies them by 50, where CLIPN has 100.
    cluster : {"kmeans", "gmm"}, default="kmeans"
        How labels and classes are clustered; "gmm" as in the released code, and much slower.
    hard : bool, default=True
        Whether to add hard prototypes.
    filtered : bool, default=True
        Whether to filter the prototypes. Without, all are kept, and hard prototypes still have to stay below the cut.
    n_clusters, each : int, default=5 and 30
        Clusters of classes and classes of each at the border; `boundary_embeddings` says what small sets do.
    mix : (float, float), default=(0.0, 0.5)
        Range of a class's share in a hard prototype.
    random_state : int, default=42
        Of the clusterings and of the shares.
    use_no : bool, default=True
        Whether to use ``concepts.no_text``. Without, or where the concepts have none, :math:`p_i = 1`: the share of the
        classes in the softmax. That plain form is a reduction of the released code, which always has a "no" tower.

    Attributes
    ----------
    prototypes_, kept_, hard_ : tensor or array, shape (P, D), (P', D), (H, D)
        The prototypes, those that passed the filter, and the hard ones.
    bank_ : tensor or array, shape (P' + H, D)
        What images are compared with besides the classes: `kept_`, then `hard_`.
    prototype_threshold_ : float
        The cosine with the nearest class below which a prototype passes.
    kept_words_ : list of tuple of str, length P'
        The five outlier labels nearest to each kept prototype, nearest first.
    no_text_ : tensor or array, shape (C, D), or None
        The "no" features in use.

    Notes
    -----
    The order of the outlier labels matters only through where the clustering starts, that is not at all with
    ``n_prototypes=None``. The order of the classes matters the same way from ``2 * each`` classes on.

    References
    ----------
    Ding and Pang, Zero-Shot Out-of-Distribution Detection with Outlier Label Exposure, IJCNN 2024; the steps are those
    of the released code, Choubo/OLE.

    Examples
    --------
    >>> import torch
    >>> concepts = Concepts(["cat"], torch.eye(3)[:1], ["car", "tiger"], torch.tensor([[0, 1.0, 0], [0.8, 0, 0.6]]))
    >>> ole = OLE(hard=False).fit(concepts)
    >>> ole.kept_words_
    [('car', 'tiger')]
    >>> scores = ole.score_samples(torch.tensor([[0.7332, 0.6800, 0.0], [0.7071, 0.7071, 0.0], [0.6800, 0.7332, 0.0]]))
    >>> ole.to_paper(scores)
    tensor([0.9346, 0.5000, 0.0654])
    """

    bounds = (0.0, 1.0)
    even_odds = 0.5

    prototypes_: Array
    kept_: Array
    hard_: Array
    bank_: Array
    prototype_threshold_: float
    no_text_: Array | None

    def __init__(
        self,
        n_prototypes: int | None = 500,
        quantile: float = 0.1,
        temperature: float = 0.02,
        cluster: Clustering = "kmeans",
        hard: bool = True,
        filtered: bool = True,
        n_clusters: int = 5,
        each: int = 30,
        mix: tuple[float, float] = (0.0, 0.5),
        random_state: int = 42,
        use_no: bool = True,
    ):
        self.n_prototypes = n_prototypes
        self.quantile = quantile
        self.temperature = temperature
        self.cluster = cluster
        self.hard = hard
        self.filtered = filtered
        self.n_clusters = n_clusters
        self.each = each
        self.mix = mix
        self.random_state = random_state
        self.use_no = use_no

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        self.no_text_ = concepts.no_text if self.use_no else None
        self.prototypes_ = learn_prototypes(self.outlier_text_, self.n_prototypes, self.cluster, self.random_state)
        kept, self.prototype_threshold_ = filter_prototypes(self.prototypes_, self.text_, self.quantile)
        self.kept_ = kept if self.filtered else self.prototypes_
        if not len(self.kept_):
            raise OodlibError(
                f"OLE: none of {len(self.prototypes_)} outlier prototypes lies below their {self.quantile} quantile: "
                "pass more outlier labels, raise the quantile, or leave the filter out (filtered=False)."
            )
        self.hard_ = self._mix_hard() if self.hard else self.kept_[:0]
        self.bank_ = join([self.kept_, self.hard_])

    def _mix_hard(self) -> Array:
        boundary = boundary_embeddings(self.text_, self.n_clusters, self.each, self.cluster, self.random_state)
        return hard_prototypes(boundary, self.kept_, self.text_, self.prototype_threshold_, self.mix, self.random_state)

    @property
    def kept_words_(self) -> list[tuple[str, ...]]:
        """The five outlier labels nearest to each kept prototype, found when asked for."""
        nearest = closest(self.kept_, self.outlier_text_, top=min(5, len(self.outlier_text_)))[1]
        return [tuple(self.outlier_names_[i] for i in row) for row in nearest.tolist()]

    def labels_compared(self) -> int:
        return len(self.text_) + len(self.bank_) + (0 if self.no_text_ is None else len(self.no_text_))

    def score_block(self, features: Array) -> Array:
        cosines = self.cosines(features)
        outliers = features @ like(self.bank_, features).T
        share = known_odds(cosines / self.temperature, outliers[:, None] / self.temperature)
        if self.no_text_ is None:
            return share
        no_cosines = features @ like(self.no_text_, features).T
        return product(share, agreeing_to_differ(cosines, no_cosines, self.temperature))
