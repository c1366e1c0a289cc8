"""Words for kinds of a thing, and names of single things: WordNet's hypernyms of nouns, read downwards."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from oodlib.datasets.wordnet import normal, noun_hypernyms, noun_synsets


@lru_cache(maxsize=1)
def _below() -> tuple[tuple[int, ...], ...]:
    """The places of the sets right below each set of nouns."""
    below: list[list[int]] = [[] for _ in noun_synsets()]
    for place, (above, _) in enumerate(noun_hypernyms()):
        for higher in above:
            below[higher].append(place)
    return tuple(map(tuple, below))


def kinds_of(names: Iterable[str]) -> frozenset[str]:
    """Every word for a kind of one of the names, or for an instance of it, in normal form.

    All meanings of a name count, as in `oodlib.datasets.synonyms`, and so do synonyms of the name and the name itself.

    Parameters
    ----------
    names : iterable of str
        Names that WordNet does not know add nothing.

    Raises
    ------
    OodlibError
        If the package's file of words is missing or damaged.

    Examples
    --------
    >>> kinds = kinds_of(["dog"])
    >>> {"poodle", "toy poodle", "domestic dog", "dog"} <= kinds, "wolf" in kinds
    (True, False)
    """
    wanted = set(map(normal, names))
    sets, below = noun_synsets(), _below()
    found: set[int] = set()
    waiting = [place for place, words in enumerate(sets) if not wanted.isdisjoint(words)]
    while waiting:
        place = waiting.pop()
        if place not in found:
            found.add(place)
            waiting.extend(below[place])
    return frozenset[str]().union(*(sets[place] for place in found))


@lru_cache(maxsize=1)
def proper_names() -> frozenset[str]:
    """Every word whose meanings are all single things, as that of "everest" is, in normal form.

    Raises
    ------
    OodlibError
        If the package's file of words is missing or damaged.

    Examples
    --------
    >>> "everest" in proper_names(), "mountain" in proper_names(), "turkey" in proper_names()
    (True, False, False)
    """
    single: set[str] = set()
    common: set[str] = set()
    for words, (_, instance) in zip(noun_synsets(), noun_hypernyms(), strict=True):
        (single if instance else common).update(words)
    return frozenset(single - common)
