"""Names that a person may not have meant as names: numbers, missing values, ids, parts of a data set, twins."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from oodlib.datasets.synonyms import synonym_pairs
from oodlib.datasets.wordnet import normal
from oodlib.errors import OodlibError

# How files and people write that there is no class; in normal form, without signs around.
NONE = frozenset(
    (
        *("nan", "none", "null", "na", "n/a", "nat", "nil", "unknown", "unlabeled", "unlabelled", "undefined"),
        *("unspecified", "?", "background"),
    )
)
IGNORED = "255"  # what a column of bytes has for no class
# What folders are called that part a data set, and hold no class of their own.
PARTS = frozenset(
    (
        *("train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval", "evaluation", "holdout"),
        *("images", "image", "imgs", "img", "jpegimages", "pictures", "photos", "data", "dataset"),
    )
)
WORDNET_ID = re.compile(r"n\d{8}")
_NUMBER = re.compile(r"[+-]?\d+([.]\d*)?")


def means_none(name: str, others: Collection[str] = ()) -> bool:
    """Whether a label says that there is no class: a missing value, a negative number, or 255 among numbers.

    >>> [means_none(name) for name in ("-1", "NaN", "<NA>", "n/a", "cat", "0")]
    [True, True, True, True, False, False]
    """
    if _NUMBER.fullmatch(name):
        far = str(int(IGNORED) - 1) not in others  # else it is a class like its neighbour
        return float(name) < 0 or (
            float(name) == int(IGNORED) and len(others) > 1 and far and all(map(_number, others))
        )
    return name.strip("<>()[]").casefold() in NONE


def _number(name: str) -> bool:
    return _NUMBER.fullmatch(name) is not None


def name_notes(names: Sequence[str]) -> list[str]:
    """A sentence for each kind of doubt about names of classes: synonyms, twins, missing values, numbers."""
    notes = []
    if pairs := synonym_pairs(names):
        notes.append(
            f"{_said(pairs)} can mean the same, so that pictures of it divide their score between them: keep one name "
            "of each"
        )
    if pairs := _twins(names):
        notes.append(f"{_said(pairs)} differ in accents, spaces or signs only: keep one, if they name one thing")
    if none := [name for name in names if means_none(name, names)]:
        notes.append(
            f"{_quoted(none)} reads like a missing value and counts as a class here: leave it out if it is none"
        )
    elif numbers := [name for name in names if _number(name)]:
        notes.append(f"{_quoted(numbers)} is a number, and pictures are compared with the word for it: write names")
    return notes


def check_parts(folders: Sequence[str], where: object) -> list[str]:
    """A note where one of the folders for classes may be none.

    Raises
    ------
    OodlibError
        If they are the parts of a data set, such as train and val.
    """
    parts = [name for name in folders if normal(name) in PARTS]
    if len(parts) > 1 or (parts and len(parts) == len(folders)):
        raise OodlibError(
            f"{_quoted(parts)} in {where} names a part of a data set and no class: pass the folder that holds the "
            "folders of classes, or pass labels"
        )
    if parts and normal(parts[0]) != "train":  # one beside planes and cars is a class
        return [f"the folder {parts[0]!r} counts as a class: move it elsewhere if it is none"]
    return []


def same_name(name: str) -> str:
    """What two spellings of a name share that look the same: case, width of letters, what is not seen."""
    seen = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return normal(unicodedata.normalize("NFKC", seen).casefold())


def _twins(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs whose letters and digits are the same but for accents."""
    first: dict[str, str] = {}
    pairs = []
    for name in names:
        letters = "".join(letter for letter in unicodedata.normalize("NFKD", name.casefold()) if letter.isalnum())
        if letters and (other := first.setdefault(letters, name)) != name:
            pairs.append((other, name))
    return pairs


def _said(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{one!r} and {other!r}" for one, other in pairs[:3]) + (" ..." if len(pairs) > 3 else "")


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (" ..." if len(names) > 3 else "")
