"""Parameters by name: what each takes, and `NAME=VALUE` of the command line read as that."""

from __future__ import annotations

import difflib
import inspect
import sys
import types
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin

from oodlib.errors import OodlibError
from oodlib.literals import read_literal

SAID = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list such as [1, 2]",
    tuple: "a list such as [1, 2]",
    dict: "a mapping such as {a: 1}",
    type(None): "none",
}


def types_of(function: Any) -> dict[str, Any]:
    """What the parameters of a function or class take, by name: the annotation, else the default's type, else `Any`."""
    names = vars(sys.modules[function.__module__])
    parameters = inspect.signature(function).parameters.values()
    return {one.name: type_of(_or_none(one.annotation), _or_none(one.default), names) for one in parameters}


def type_of(annotation: Any, default: Any, names: Mapping[str, Any]) -> Any:
    """The type that an annotation, perhaps one written as text, stands for; without one that of the default.

    `Any` where neither says: the default is None, or only type checkers know a name in the annotation.
    """
    if annotation is None:
        return Any if default is None else type(default)
    try:
        return eval(annotation, dict(names)) if isinstance(annotation, str) else annotation
    except (NameError, AttributeError, TypeError):
        return Any


def read_parameters(texts: Iterable[str], expected: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts.

    Parameters
    ----------
    texts : iterable of str
        Values are read by `read_literal`; where a parameter takes text and no such value, text as it is written.
    expected : mapping of str to type
        What each parameter takes (`types_of`). Where it takes a float or a tuple, a whole number and a list become one.
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


def check_names(names: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Refuse a name that is not known, with the one that was perhaps meant.

    Raises
    ------
    OodlibError
        If there is such a name.
    """
    known = list(known)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known) or 'none'}."
            raise OodlibError(f"{owner} has no parameter {name!r}: {hint}")


def check_values(values: Mapping[str, Any], expected: Mapping[str, Any], owner: str) -> None:
    """Refuse names that are not known, and values that do not fit where only Python's own types do.

    Raises
    ------
    OodlibError
        If there is one.
    """
    check_names(values, expected, owner)
    for name, value in values.items():
        if all(map(_is_plain, _alternatives(expected[name]))):
            _fitted(value, expected[name], f"{name} of {owner}", repr(value))


def _or_none(value: Any) -> Any:
    return None if value is inspect.Parameter.empty else value


def _read(text: str, expected: Any, what: str) -> Any:
    as_written = text[0] not in "\"'" and any(kind is str for kind in _alternatives(expected))
    try:
        value = read_literal(text)
    except ValueError as error:
        if as_written:
            return text
        raise OodlibError(f"the value of {what}, {text}, {error}") from None
    try:
        return _fit(value, expected)
    except ValueError:
        return text if as_written else _fitted(value, expected, what, text)


def _fitted(value: Any, expected: Any, what: str, shown: str) -> Any:
    try:
        return _fit(value, expected)
    except ValueError:
        said = dict.fromkeys(_said(kind) for kind in _alternatives(expected) if _is_plain(kind))
        raise OodlibError(f"{what} takes {' or '.join(said) or 'nothing that can be typed'}, not {shown}") from None


def _alternatives(expected: Any) -> tuple[Any, ...]:
    return get_args(expected) if get_origin(expected) in (Union, types.UnionType) else (expected,)


def _is_plain(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (*SAID, Literal)


def _said(kind: Any) -> str:
    options = ", ".join(map(str, get_args(kind)))
    return f"one of {options}" if get_origin(kind) is Literal else SAID[get_origin(kind) or kind]


def _fit(value: Any, expected: Any) -> Any:
    """The value as the first alternative has it that takes it; ValueError where none does."""
    for kind in _alternatives(expected):
        try:
            return _as(value, kind)
        except (ValueError, OverflowError):
            continue
    raise ValueError


def _as(value: Any, kind: Any) -> Any:
    """The value as one type has it; ValueError where it is of another."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is Any or (origin is Literal and value in parts):
        return value
    if origin in (int, float):
        if not isinstance(value, bool) and isinstance(value, Integral if origin is int else Real):
            return origin(value)
    elif origin in (list, tuple) and isinstance(value, list | tuple):
        if origin is list or not parts or parts[-1] is ...:
            parts = (parts[:1] or (Any,)) * len(value)
        return origin(_fit(part, each) for part, each in zip(value, parts, strict=True))
    elif origin is dict and isinstance(value, dict):
        key, content = parts or (Any, Any)
        return {_fit(name, key): _fit(part, content) for name, part in value.items()}
    elif isinstance(origin, type) and isinstance(value, origin):
        return value
    raise ValueError
