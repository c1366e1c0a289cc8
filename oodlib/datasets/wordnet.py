"""Words that name things: WordNet's nouns and adjectives with their lexicographer files, and what nouns are kinds of.

They come with the package, in a file that `tools/wordnet.py` compiles: the nouns, an empty line, the adjectives. A line
is a synonym set: the number of its lexicographer file and its words, with tabs between. After another empty line follow
the hypernyms of the nouns (`noun_hypernyms`), a line for each of their sets.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from oodlib.errors import OodlibError

WORDNET = Path(__file__).with_name("wordnet.txt.xz")

# Names of WordNet's lexicographer files by their number (manual page lexnames(5WN)); verbs and adverbs name nothing.
LEXICOGRAPHER_FILES = {
    0: "adj.all",
    1: "adj.pert",
    3: "noun.Tops",
    4: "noun.act",
    5: "noun.animal",
    6: "noun.artifact",
    7: "noun.attribute",
    8: "noun.body",
    9: "noun.cognition",
    10: "noun.communication",
    11: "noun.event",
    12: "noun.feeling",
    13: "noun.food",
    14: "noun.group",
    15: "noun.location",
    16: "noun.motive",
    17: "noun.object",
    18: "noun.person",
    19: "noun.phenomenon",
    20: "noun.plant",
    21: "noun.possession",
    22: "noun.process",
    23: "noun.quantity",
    24: "noun.relation",
    25: "noun.shape",
    26: "noun.state",
    27: "noun.substance",
    28: "noun.time",
    44: "adj.ppl",
}
NOUN_FILES = tuple(name for name in LEXICOGRAPHER_FILES.values() if name.startswith("noun."))
ADJECTIVE_FILES = tuple(name for name in LEXICOGRAPHER_FILES.values() if name.startswith("adj."))
# What one can see. Nouns of persons and of the body are left out, because WordNet's include slurs, and a table would
# put them beside people's pictures; a few plain words stand for them.
SEEN = tuple(f"noun.{name}" for name in ("animal", "artifact", "food", "object", "plant"))
PEOPLE = ("person", "man", "woman", "child", "crowd", "face", "hand")
WORDS = 2000  # of WordNet's names of things, evenly spread: a text tower on a laptop encodes them in a minute or two
# What a drawing can show.
THINGS = tuple(f"noun.{name}" for name in ("animal", "artifact", "body", "food", "object", "person", "plant"))


class Word(NamedTuple):
    """A word or phrase of WordNet, spelled as there but with spaces; `files` are those of all its senses."""

    text: str
    files: frozenset[str]


@lru_cache(maxsize=1)
def _parts() -> dict[str, str]:
    try:
        nouns, adjectives, above = lzma.decompress(WORDNET.read_bytes()).decode().split("\n\n")
    except (OSError, lzma.LZMAError, ValueError):
        raise OodlibError(f"{WORDNET} is missing or damaged: install oodlib again") from None
    return {"noun": nouns, "adj": adjectives, "above": above}


def _sets(part: str) -> Iterator[tuple[str, list[str]]]:
    """The lexicographer file and the words of each synonym set."""
    for line in _parts()[part].splitlines():
        number, *words = line.split("\t")
        yield LEXICOGRAPHER_FILES[int(number)], words


@lru_cache(maxsize=1)
def noun_synsets() -> tuple[frozenset[str], ...]:
    """The words of every synonym set of nouns, in the form of `normal`.

    Raises
    ------
    OodlibError
        If the package's file of words is missing or damaged.
    """
    return tuple(frozenset(map(normal, texts)) for _, texts in _sets("noun"))


def noun_hypernyms() -> Iterator[tuple[tuple[int, ...], bool]]:
    """For each set of `noun_synsets`, in order: the places of the sets above it, and whether it is their instance.

    Raises
    ------
    OodlibError
        If the package's file of words is missing or damaged.
    """
    for line in _parts()["above"].splitlines():
        places = () if line == "-" else tuple(int(place.removeprefix("i")) for place in line.split())
        yield places, 0 < len(places) == line.count("i")


@lru_cache(maxsize=2)
def wordnet(part: str) -> tuple[Word, ...]:
    """Every noun ("noun") or adjective ("adj") of WordNet 3.1, in alphabetical order, parsed once.

    Raises
    ------
    OodlibError
        If the package's file of words is missing or damaged.
    """
    files: dict[str, frozenset[str]] = {}  # words of the same files share one set: most of them have a single one
    alone = {file: frozenset({file}) for file in LEXICOGRAPHER_FILES.values()}
    for file, texts in _sets(part):
        for text in texts:
            files[text] = files[text] | alone[file] if text in files else alone[file]
    return tuple(Word(text, files[text]) for text in sorted(files))


def select(
    words: Iterable[Word],
    files: Collection[str] | None = None,
    *,
    single: bool = False,
    exclude: Iterable[str] = (),
) -> list[str]:
    """Choose words by lexicographer file.

    Parameters
    ----------
    words : iterable of Word
    files : collection of str, optional
        Keep words with a sense in one of these files; by default all.
    single : bool
        Keep single words only: no spaces, hyphens, digits or other signs.
    exclude : iterable of str
        Names left out, whatever their case, underscores or hyphens.

    Returns
    -------
    list of str
        Lower case, each once, in the order given.

    Raises
    ------
    OodlibError
        If a file is not one of WordNet's.
    """
    if files is not None and (unknown := set(files) - set(LEXICOGRAPHER_FILES.values())):
        raise OodlibError(
            f"WordNet has no lexicographer file {sorted(unknown)[0]!r}: choose among {', '.join(NOUN_FILES)}, "
            f"{', '.join(ADJECTIVE_FILES)}"
        )
    unwanted = {normal(name) for name in exclude}
    wanted = None if files is None else frozenset(files)
    chosen = dict.fromkeys(
        word.text.lower()
        for word in words
        if (wanted is None or wanted & word.files) and (not single or (word.text.isascii() and word.text.isalpha()))
    )
    return [text for text in chosen if normal(text) not in unwanted]


def default_words(count: int = WORDS) -> list[str]:
    """Single nouns of WordNet that name things one can see, at most `count`, evenly spread; and a few for people."""
    words = select(wordnet("noun"), SEEN, single=True, exclude=PEOPLE)
    return [*words[:: -(-len(words) // count)], *PEOPLE]


@lru_cache(maxsize=2**18)  # every list of words is compared with the names of classes, again for every fit
def normal(name: str) -> str:
    """A name in lower case with single spaces instead of underscores and hyphens, to compare names by."""
    return re.sub(r"[\s_-]+", " ", name).strip().lower()
