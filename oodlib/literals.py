"""A value that a person types, as Python's: numbers, words, lists; no code is run, and text stays text."""

from __future__ import annotations

import ast
import contextlib
import math
from typing import Any

WORDS = {"true": True, "false": False, "null": None, "none": None, "~": None}
UNREADABLE = "cannot be read: put text in quotes, and lists in brackets"


def read_literal(text: str) -> Any:
    """The value that a text stands for.

    YAML as PyYAML reads it is not used for words and numbers: it is of version 1.1, where 1e-2 is text, 010 is eight,
    12:30 is 750 and no is false.

    Parameters
    ----------
    text : str
        Not empty. A number (``1e-2``, ``.5``, ``1_000``), ``true``, ``none``, a list ``[a, 1]``, a tuple ``(1, 2)``, a
        mapping ``{a: 1}`` or text in quotes. Whatever begins like none of these is text.

    Returns
    -------
    object
        None, a bool, int, finite float or str, or a list, tuple or dict of them.

    Raises
    ------
    ValueError
        With the end of a sentence: what looks like a number is not finite, or brackets or quotes do not fit.

    Examples
    --------
    >>> read_literal("1e-2"), read_literal("TRUE"), read_literal("no"), read_literal("[.5, 'none', None]")
    (0.01, True, 'no', [0.5, 'none', None])
    """
    import yaml  # here: few commands have a value to read

    try:
        if text[0] == "(":
            value = ast.literal_eval(text)
        else:
            value = _built(yaml.compose(text, yaml.SafeLoader)) if text[0] in "[{\"'" else _word(text)
    except (yaml.YAMLError, SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise ValueError(UNREADABLE) from None
    _check(value)
    return value


def _word(text: str) -> Any:
    """One of `WORDS`, a number, or else the text itself."""
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _built(node: Any) -> Any:
    """The value of a YAML node; what stands in quotes is text."""
    if node.id == "scalar":
        return node.value if node.style else _word(node.value)
    if node.id == "sequence":
        return [_built(part) for part in node.value]
    return {_built(key): _built(value) for key, value in node.value}


def _check(value: Any) -> None:
    if isinstance(value, list | tuple | dict):
        for part in value if not isinstance(value, dict) else (*value, *value.values()):
            _check(part)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("is not a finite number: write one, or put text in quotes")
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise ValueError(UNREADABLE)
