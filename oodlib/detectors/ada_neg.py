"""AdaNeg: NegLabel whose labels move towards the test pictures."""

from oodlib.arrays import Array, join, like, namespace, normalize, split
from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import log_entropy, odds_of, weighted_sum
from oodlib.detectors.neg_label import NegLabel
from oodlib.errors import OodlibError


class ProxyMemory:
    """For each label its text feature and the few pictures that seemed to show it most clearly.

    Parameters
    ----------
    text : tensor or array, shape (L, D)
        The labels' text features; they are never replaced.
    pictures : int
        How many pictures a label can hold.
    """

    def __init__(self, text: Array, pictures: int):
        self.text = text
        self.pictures = pictures
        self.sums = namespace(text).asarray(text, copy=True)
        self.kept: dict[int, list[tuple[float, Array]]] = {}

    def add(self, label: int, log_entropy: float, feature: Array) -> None:
        """Keep a picture (D,); where the label is full, only in place of the most uncertain one, if that is more so."""
        kept = self.kept.setdefault(label, [])
        if len(kept) < self.pictures:
            kept.append((log_entropy, feature))
        else:
            worst = max(range(len(kept)), key=lambda place: kept[place][0])
            if log_entropy >= kept[worst][0]:
                return
            kept[worst] = (log_entropy, feature)
        self.sums[label] = self.text[label] + namespace(feature).stack([picture for _, picture in kept]).sum(0)

    def proxies(self) -> Array:
        """The normalised mean of what each label holds: (L, D)."""
        return normalize(self.sums)


class AdaNeg(NegLabel):
    r"""NegLabel with proxies: each label becomes the mean of its text and of test pictures that seemed to show it.

    Mining and grouped score are those of `NegLabel`. Pictures come in batches. With :math:`S_0` NegLabel's score of a
    picture,

    .. math:: S(x) = S_{proxies}(x) + \lambda S_0(x)

    where :math:`S_{proxies}` is the same grouped score with proxies in place of text features. Before a batch is
    scored, each of its pictures with :math:`S_0 > \gamma + g (1 - \gamma)` is stored with its best class, and each
    with :math:`S_0 < \gamma - g \gamma` with its best negative label. A label that is full replaces the picture of
    highest entropy (of the softmax over the classes, or over the negative labels) by a new one of lower entropy.
    A proxy is the normalised mean of the label's text feature and its pictures. Larger = more in-distribution.

    **The score depends on the order of the pictures** within one `score_samples` call, and on the other pictures of
    it; the memory begins empty in each. `oodlib.evaluation.score` mixes ID and OOD pictures in an order fixed by a
    seed.

    Parameters
    ----------
    quantile, keep, temperature, random_state
        As in `NegLabel`.
    groups : int, default=5
        As in `NegLabel`, which takes 100.
    slots : int, default=10
        What a label can hold: its text and ``slots - 1`` pictures.
    middle : float, default=0.5
        The :math:`\gamma` between scores of OOD and ID pictures, from 0 to 1.
    gap : float, default=0.5
        The :math:`g`, from 0 to 1: how far from the middle a score must be for the picture to be stored. By default
        above 0.75 and below 0.25.
    weight : float, default=0.1
        The :math:`\lambda` of NegLabel's own score, 0 or more.
    batch_size : int, default=256
        Pictures that are stored together and then scored together, so that a picture meets itself in the memory.

    Attributes
    ----------
    selected_, outlier_names_, outlier_text_, group_rows_
        As in `NegLabel`.

    Notes
    -----
    These are the *task-adaptive* proxies, one for each label, with which the authors logged their ImageNet results.
    The sample-adaptive ones of the paper, which weight a label's pictures anew for each test picture, are not part of
    this detector.

    References
    ----------
    Zhang and Zhang, AdaNeg: Adaptive Negative Proxy Guided OOD Detection with Vision-Language Models, NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> concepts = Concepts(["cat"], torch.eye(3)[:1], outlier_names=["bus"], outlier_text=torch.eye(3)[1:2])
    >>> pictures = torch.tensor([[0.6, 0.0, 0.8], [0.0, 0.6, 0.8]])
    >>> detector = AdaNeg(temperature=0.1).fit(concepts)
    >>> detector.to_paper(detector.score_samples(pictures))
    tensor([1.0951, 0.0049])
    """

    order_dependent = True
    transductive = True

    def __init__(
        self,
        quantile: float = 0.95,
        keep: float = 0.15,
        groups: int = 5,
        temperature: float = 0.01,
        random_state: int = 0,
        slots: int = 10,
        middle: float = 0.5,
        gap: float = 0.5,
        weight: float = 0.1,
        batch_size: int = 256,
    ):
        super().__init__(quantile, keep, groups, temperature, random_state)
        self.slots = slots
        self.middle = middle
        self.gap = gap
        self.weight = weight
        self.batch_size = batch_size

    def learn(self, concepts: Concepts) -> None:
        super().learn(concepts)
        if not (0 <= self.middle <= 1 and 0 <= self.gap <= 1):
            raise OodlibError(f"{self!r}: middle and gap must lie between 0 and 1, as the scores do.")
        if self.weight < 0:
            raise OodlibError(f"{self!r}: the weight of NegLabel's own score must be 0 or more.")
        if self.slots < 2 or self.batch_size < 1:
            raise OodlibError(f"{self!r}: slots must be at least 2 (a text and a picture) and batch_size at least 1.")

    def score_stream(self, matrix: Array) -> Array:
        text = join([like(self.text_, matrix), like(self.outlier_text_, matrix)])
        memory = ProxyMemory(text, self.slots - 1)
        scores = []
        for features in split(matrix, self.batch_size):
            plain = self.grouped(features, self.cosines(features), self.parts(text)[1])
            self.store(features, plain, memory)
            known, unknown = self.parts(memory.proxies())
            adapted = self.grouped(features, features @ known.T, unknown)
            scores.append(weighted_sum(adapted, plain, self.weight))
        return join(scores)

    def score_block(self, features: Array) -> Array:
        """Score a block as a stream of its own."""
        return self.score_stream(features)

    def store(self, features: Array, plain: Array, memory: ProxyMemory) -> None:
        """Put the pictures (n, D) whose NegLabel score (n,) is clear into the memory, in their order."""
        inside = plain > odds_of(self.middle + self.gap * (1 - self.middle))
        outside = plain < odds_of(self.middle - self.gap * self.middle)
        classes, negatives = self.parts(memory.text)
        for chosen, labels, first in ((inside, classes, 0), (outside, negatives, len(classes))):
            pictures = features[chosen]
            logits = pictures @ labels.T / self.temperature
            best = (first + logits.argmax(-1)).tolist()
            for found in zip(best, log_entropy(logits).tolist(), pictures, strict=True):
                memory.add(*found)

    @property
    def bounds(self) -> tuple[float, float]:
        """All mass on negative labels, and all on classes, by proxies and by texts."""
        return 0.0, 1.0 + self.weight

    def parts(self, labels: Array) -> tuple[Array, Array]:
        """Split classes from negative labels: (C + M, D) -> (C, D), (M, D)."""
        return labels[: len(self.text_)], labels[len(self.text_) :]
