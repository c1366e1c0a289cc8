"""Methods found by name: one module a method, in one package, with nothing to edit when a file is added.

And what the parameters of a method take, so that a value that does not fit is refused before anything is computed.
"""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import sys
import types
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import import_module
from numbers import Integral, Real
from typing import Any, Generic, Literal, Protocol, TypeVar, Union, get_args, get_origin

import numpy as np

from oodlib.errors import OodlibError, naming_extras

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


class Estimator(Protocol):
    """The part of scikit-learn's contract that a registry needs."""

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...


Method = TypeVar("Method", bound=Estimator)


class Registry(Generic[Method]):
    """The classes of a package's modules, by module name.

    Every module counts but `base` and those whose name starts with an underscore, and each defines one class; packages
    inside do not count. A module is imported when its class is asked for: a name costs no more than its own method.

    Parameters
    ----------
    package : str
        Name of the package, imported already.
    base : type
        What a method's class derives from.
    kind : str
        What messages call a method: "detector".
    """

    def __init__(self, package: str, base: type[Method], kind: str):
        self.package, self.base, self.kind = package, base, kind

    @cached_property
    def names(self) -> list[str]:
        """The names of all methods, in alphabetical order; nothing is imported."""
        inside = pkgutil.iter_modules(sys.modules[self.package].__path__)
        found = (info.name for info in inside if not info.ispkg)
        return sorted(name for name in found if name != "base" and not name.startswith("_"))

    def find(self, name: str) -> type[Method]:
        """The class of a module.

        Raises
        ------
        OodlibError
            If there is no such module, it needs an extra, or it defines another number of classes than one.
        """
        if name not in self.names:
            raise OodlibError(f"unknown {self.kind} {name!r}: choose from {', '.join(self.names)}.")
        with naming_extras():
            module = import_module(f"{self.package}.{name}")
        classes = [value for _, value in inspect.getmembers(module, inspect.isclass)]
        found = [value for value in classes if issubclass(value, self.base) and value.__module__ == module.__name__]
        if len(found) != 1:
            raise OodlibError(f"{module.__name__} defines {len(found)} {self.kind}s: a module here must define one.")
        return found[0]

    def takes(self, name: str) -> dict[str, Any]:
        """What the parameters of a method take, by name in alphabetical order (`types_of`).

        Raises
        ------
        OodlibError
            If no module has that name.
        """
        method = self.find(name)
        types = types_of(method)
        return {parameter: types.get(parameter, Any) for parameter in sorted(method().get_params())}

    def make(self, name: str, **parameters: Any) -> Method:
        """Make a method by name.

        Raises
        ------
        OodlibError
            If no module has that name, the method has no such parameter, or a value is of another type than it takes.
        """
        check_values(parameters, self.takes(name), name)
        return self.find(name)(**parameters)

    def name_of(self, method: Method) -> str:
        """Return the name that `make` knows a method by; of a method from elsewhere, its class name."""
        package, _, name = type(method).__module__.rpartition(".")
        known = package == self.package and name in self.names and type(method) is self.find(name)
        return name if known else type(method).__name__

    def attribute(self, name: str) -> type[Method]:
        """A class by its own name; what a package's ``__getattr__`` answers with.

        Raises
        ------
        AttributeError
            If no module defines a class of that name.
        """
        if not name.startswith("_"):
            for known in map(self.find, self.names):
                if known.__name__ == name:
                    return known
        raise AttributeError(f"module {self.package!r} has no attribute {name!r}")


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
        if all(map(_is_plain, alternatives(expected[name]))):
            fitted(value, expected[name], f"{name} of {owner}", repr(value))


def _or_none(value: Any) -> Any:
    return None if value is inspect.Parameter.empty else value


def fitted(value: Any, expected: Any, what: str, shown: str) -> Any:
    """The value as `fit` has it; where it does not fit, a sentence about `what`, with the value as `shown`."""
    try:
        return fit(value, expected)
    except ValueError:
        said = dict.fromkeys(_said(kind) for kind in alternatives(expected) if _is_plain(kind))
        raise OodlibError(f"{what} takes {' or '.join(said) or 'nothing that can be typed'}, not {shown}") from None


def alternatives(expected: Any) -> tuple[Any, ...]:
    """The types of a union; of another type, that one."""
    return get_args(expected) if get_origin(expected) in (Union, types.UnionType) else (expected,)


def _is_plain(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (*SAID, Literal)


def _said(kind: Any) -> str:
    options = ", ".join(map(str, get_args(kind)))
    return f"one of {options}" if get_origin(kind) is Literal else SAID[get_origin(kind) or kind]


def fit(value: Any, expected: Any) -> Any:
    """The value as the first alternative has it that takes it; ValueError where none does."""
    for kind in alternatives(expected):
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
    if origin is bool and isinstance(value, np.bool_):
        return bool(value)
    if origin in (int, float):
        if not isinstance(value, bool) and isinstance(value, Integral if origin is int else Real):
            return origin(value)
    elif origin in (list, tuple) and isinstance(value, list | tuple):
        if origin is list or not parts or parts[-1] is ...:
            parts = (parts[:1] or (Any,)) * len(value)
        return origin(fit(part, each) for part, each in zip(value, parts, strict=True))
    elif origin is dict and isinstance(value, dict):
        key, content = parts or (Any, Any)
        return {fit(name, key): fit(part, content) for name, part in value.items()}
    elif isinstance(origin, type) and isinstance(value, origin):
        return value
    raise ValueError
