"""What a person types, as values: numbers, words, lists, and `NAME=VALUE`; no code is run, and text stays text."""

from __future__ import annotations

import ast
import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from oodlib.errors import OodlibError
from oodlib.registry import alternatives, check_names, fit, fitted

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


def read_parameters(texts: Iterable[str], expected: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts.

    Parameters
    ----------
    texts : iterable of str
        Values are read by `read_literal`; where a parameter takes text and no such value, text as it is written.
    expected : mapping of str to type
        What each parameter takes (`oodlib.registry.types_of`). Where it takes a float or a tuple, a whole number and a
        list become one.
    owner : str
        Whose parameters they are, for messages.

    Returns
    -------
    dict of str to object

    Raises
    ------
    OodlibError
        If a text is no ``NAME=VALUE``, its value is missing or does not fit, or its name is unknown or there twice.

    Examples
    --------
    >>> read_parameters(["temperature=1", "title=1e-2"], {"temperature": float, "title": str}, "mine")
    {'temperature': 1.0, 'title': '1e-2'}
    """
    found: dict[str, Any] = {}
    for given in texts:
        name, equals, text = (part.strip() for part in given.partition("="))
        if not equals or not name.isidentifier():
            raise OodlibError(f"--parameter {given!r} is not NAME=VALUE: write for example -p temperature=0.5")
        check_names([name], expected, owner)
        if name in found:
            raise OodlibError(f"--parameter {name} is there twice: keep one")
        if not text:
            raise OodlibError(f"--parameter {given!r} has no value: write one after the =, or '\"\"' for empty text")
        found[name] = _read(text, expected[name], f"{name} of {owner}")
    return found


def _read(text: str, expected: Any, what: str) -> Any:
    as_written = text[0] not in "\"'" and any(kind is str for kind in alternatives(expected))
    try:
        value = read_literal(text)
    except ValueError as error:
        if as_written:
            return text
        raise OodlibError(f"the value of {what}, {text}, {error}") from None
    try:
        return fit(value, expected)
    except ValueError:
        return text if as_written else fitted(value, expected, what, text)


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
