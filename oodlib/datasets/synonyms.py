"""Words that mean the same: WordNet's synonym sets of nouns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from oodlib.datasets.wordnet import normal, noun_synsets


@lru_cache(maxsize=1)
def _places() -> dict[str, tuple[int, ...]]:
    """In which synonym sets each word stands."""
    places: dict[str, list[int]] = {}
    for place, words in enumerate(noun_synsets()):
        for word in words:
            places.setdefault(word, []).append(place)
    return {word: tuple(found) for word, found in places.items()}


def synonyms(name: str) -> frozenset[str]:
    """Every word that shares a meaning with a noun, in normal form (`oodlib.datasets.wordnet.normal`), itself included.

    All meanings of the noun count: WordNet does not know which one a class has.

    Raises
    ------
    OodlibError
        If the package's file of words is missing or damaged.

    Examples
    --------
    >>> sorted(synonyms("aeroplane"))
    ['aeroplane', 'airplane', 'plane']
    """
    own = normal(name)
    sets = noun_synsets()
    return frozenset({own}.union(*(sets[place] for place in _places().get(own, ()))))


def synonym_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of names that share a meaning, in the order given.

    >>> synonym_pairs(["car", "dog", "automobile"])
    [('car', 'automobile')]
    """
    known = {name: synonyms(name) for name in names}
    return [
        (one, other)
        for k, one in enumerate(names)
        for other in names[k + 1 :]
        if normal(other) != normal(one) and normal(other) in known[one]
    ]
