"""What a set of texts is to the rest of the library, and the sets that a method on texts is trained and tested with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oodlib.datasets.listing import digest_of
from oodlib.errors import OodlibError

LONGEST_CUT = 8  # words
SHORTEST_CUT = 3  # words: two of a definition, such as "any of", say nothing of it
FEWEST = 50  # texts of a set that are worth a number


@dataclass(frozen=True)
class TextSet:
    """Texts, and what they are about.

    Parameters
    ----------
    name : str
    ids : tuple of str
        One for each text, unique.
    texts : tuple of str
    labels : tuple of str
        The class of each text among those of its benchmark, "" where it has none.

    Raises
    ------
    OodlibError
        If the three differ in length, an id occurs twice, or a text is empty.
    """

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.texts) == len(self.labels):
            raise OodlibError(
                f"{self.name} has {len(self.ids)} ids, {len(self.texts)} texts and {len(self.labels)} labels: give as "
                "many of each"
            )
        if len(set(self.ids)) < len(self.ids):
            twice = Counter(self.ids).most_common(1)[0][0]
            raise OodlibError(f"{self.name} has the text {twice!r} twice: ids must be unique")
        for name, text in zip(self.ids, self.texts, strict=True):
            if not text.strip():
                raise OodlibError(f"the text {name!r} of {self.name} is empty: leave it out")

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the rows; their order counts, the machine does not."""
        return digest_of(self.name, list(map(list, zip(self.ids, self.texts, self.labels, strict=True))))

    def select(self, mask: np.ndarray | Sequence[bool]) -> TextSet:
        """Rows where `mask` (N,) is true, in the same order."""
        return self.take(np.flatnonzero(np.asarray(mask, dtype=bool)))

    def take(self, rows: np.ndarray | Sequence[int]) -> TextSet:
        """Some rows, in the order given."""
        places = [int(row) for row in rows]
        picked = (tuple(column[row] for row in places) for column in (self.ids, self.texts, self.labels))
        return TextSet(self.name, *picked)

    def first(self, count: int) -> TextSet:
        """The first rows, at most so many; where the order is one of chance, a draw."""
        return self.take(range(min(count, len(self))))


@dataclass(frozen=True)
class TextBenchmark:
    """In-distribution texts, and the sets they must be told apart from.

    Parameters
    ----------
    name : str
    names : tuple of str
        The ID class names, in label order.
    train, validation, test : TextSet
        ID texts; each label is one of `names`.
    ood : mapping of str to TextSet
        The other sets, which nothing may be trained on.
    kinds : mapping of str to str
        Per set "same-domain" (other classes of the same kind of text) or "out-of-domain" (another kind of text).

    Raises
    ------
    OodlibError
        If an ID text has another label, an OOD text has one of `names`, two ID sets share a text, or sets and kinds do
        not fit.
    """

    name: str
    names: tuple[str, ...]
    train: TextSet
    validation: TextSet
    test: TextSet
    ood: Mapping[str, TextSet]
    kinds: Mapping[str, str]

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.test)
        for part in parts:
            if strangers := set(part.labels) - set(self.names):
                raise OodlibError(f"{part.name}: ID texts carry labels outside the class names: {min(strangers)!r}")
        for name, part in self.ood.items():
            if shared := set(part.labels) & set(self.names):
                raise OodlibError(f"{self.name}: texts of the OOD set {name!r} carry the ID label {min(shared)!r}")
        if set(self.ood) != set(self.kinds) or set(self.kinds.values()) - {"same-domain", "out-of-domain"}:
            raise OodlibError(
                f'{self.name}: every OOD set needs a kind, "same-domain" or "out-of-domain", and every kind a set'
            )
        if len(set().union(*(part.texts for part in parts))) < sum(len(set(part.texts)) for part in parts):
            raise OodlibError(f"{self.name}: its ID sets share a text: group repeats before splitting")

    def label_ids(self, part: TextSet) -> np.ndarray:
        """Place of each ID text's class in `names`: int64 (N,)."""
        index = {name: place for place, name in enumerate(self.names)}
        return np.array([index[label] for label in part.labels], dtype=np.int64)


@dataclass(frozen=True)
class Matched:
    """An OOD set and the ID test set, cut so that length tells nothing: `words` is where texts are cut."""

    words: int
    id: TextSet
    ood: TextSet


def length_matched(benchmark: TextBenchmark, count: Callable[[str], int] | None = None) -> dict[str, Matched]:
    """Each OOD set with the ID test set, with equal distributions of lengths.

    Texts of both sets that have at least k words are cut to their first k, each cut text is kept once and those that
    both sets have not at all, since nothing can tell them apart. k is the median number of words of the OOD set, at
    most 8. Where `count` measures otherwise, such as in tokens, as many texts of each length are then kept of one set
    as of the other.

    Parameters
    ----------
    benchmark : TextBenchmark
    count : callable, optional
        The length of a text for the model; by default words, of which all cut texts have k.

    Returns
    -------
    dict of str to Matched
        By OOD set. A set whose k is below 3, as that of names is, or of which fewer than 50 texts are left, is absent:
        it cannot be matched by any cut that leaves a text its meaning.
    """
    found = {}
    for name, part in benchmark.ood.items():
        words = min(LONGEST_CUT, int(np.median([len(text.split()) for text in part.texts])))
        if words < SHORTEST_CUT:
            continue
        inside, outside = _cut(benchmark.test, words), _cut(part, words)
        shared = set(inside.texts) & set(outside.texts)
        both = [cut.select([text not in shared for text in cut.texts]) for cut in (inside, outside)]
        if count is not None:
            both = _same_lengths(both, count)
        if min(map(len, both)) >= FEWEST:
            found[name] = Matched(words, *both)
    return found


def rank(salt: str, name: str) -> str:
    """A fixed shuffle that no machine changes: sorting by it draws once and for all."""
    return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


def _cut(part: TextSet, words: int) -> TextSet:
    """The first words of the texts that have so many, each cut text once."""
    rows: dict[str, int] = {}
    for row, text in enumerate(part.texts):
        if len(cut := text.split()[:words]) == words:
            rows.setdefault(" ".join(cut), row)
    kept = part.take(list(rows.values()))
    return TextSet(f"{part.name}, {words} words", kept.ids, tuple(rows), kept.labels)


def _same_lengths(parts: Sequence[TextSet], count: Callable[[str], int]) -> list[TextSet]:
    """As many texts of each length from every set, drawn by the hash of their ids."""
    lengths = [[count(text) for text in part.texts] for part in parts]
    quota = Counter(lengths[0])
    for other in lengths[1:]:
        quota &= Counter(other)
    kept = []
    for part, own in zip(parts, lengths, strict=True):
        left, rows = Counter(quota), []
        for row in sorted(range(len(part)), key=lambda row: rank("length", part.ids[row])):
            if left[own[row]]:
                left[own[row]] -= 1
                rows.append(row)
        kept.append(part.take(sorted(rows)))
    return kept
