"""Class names from a file: text with a name a line, or JSON in the shapes that data sets and models come with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oodlib.cache import check_source
from oodlib.errors import OodlibError
from oodlib.guard.doubtful import WORDNET_ID
from oodlib.guard.labels import Labels
from oodlib.outlier_labels.envision_prompts import read_names

HOLDERS = ("id2label", "label2id", "labels", "names", "classes", "class_names", "categories")
_SHAPES = '["cat", "dog"], {"0": "cat", "1": "dog"} or, with descriptions, {"cat": ["a pet that purrs"]}'


def read_labels(path: Path) -> Labels:
    """Names, or names with descriptions, from a file.

    JSON may be a list of names, a mapping of names to lists of descriptions, of numbers to names (or to pairs of a
    WordNet id and a name), of names to numbers, or of WordNet ids to names, or have one of these in an entry such as
    "id2label". Numbers give the order. Every other file is text (`read_names`).

    Raises
    ------
    OodlibError
        If the file cannot be read, or it is not clear which names it holds.
    """
    if path.suffix.lower() != ".json":
        return read_names(path)
    check_source(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise OodlibError(f"cannot read {path} ({error}): pass JSON in UTF-8 such as {_SHAPES}") from None
    found = _names_in(content)
    if found is None:
        raise OodlibError(f"{path} does not say clearly which names it holds: write {_SHAPES}")
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} is there twice")
        found[key] = value
    return found


def _names_in(content: Any) -> Labels | None:
    """The names, or None where it is not clear which they are."""
    if isinstance(content, list):
        return _as_names(content)
    if not isinstance(content, dict) or not content:
        return None
    described = all(isinstance(value, list) and not _is_pair(value) for value in content.values())
    holders = [name for name in HOLDERS if name in content]
    if holders and (len(content) == 1 or not described):
        return _names_in(content[holders[0]])
    if all(_is_number(key) for key in content):
        return _in_order(content, _as_names(list(content.values())))
    if all(_is_number(value) for value in content.values()):
        return _in_order({value: name for name, value in content.items()}, list(content)) if _unlike(content) else None
    if all(WORDNET_ID.fullmatch(key) for key in content):
        return _as_names(list(content.values()))
    return content if described else None


def _as_names(values: Sequence[Any]) -> list[str] | None:
    """Names from a list of names, or of pairs of a WordNet id and a name."""
    names = [value[1] if _is_pair(value) else value for value in values]
    return names if all(isinstance(name, str) for name in names) else None


def _in_order(numbered: Mapping[Any, Any], names: list[str] | None) -> list[str] | None:
    """Names by their numbers: "10" comes behind "9"."""
    if names is None or len(numbered) != len(names):
        return None
    order = dict(zip(map(int, numbered), names, strict=True))
    return [order[number] for number in sorted(order)] if len(order) == len(names) else None


def _unlike(content: Mapping[str, Any]) -> bool:
    """Whether every name has a number of its own."""
    return len(set(map(int, content.values()))) == len(content)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"-?\d+", str(value)) is not None


def _is_pair(value: Any) -> bool:
    """A WordNet id and a name, as in the index of ImageNet's classes."""
    pair = isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
    return pair and WORDNET_ID.fullmatch(value[0]) is not None
