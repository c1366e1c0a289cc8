"""Methods found by name: one module a method, in one package, with nothing to edit when a file is added."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from functools import cached_property
from importlib import import_module
from typing import Any, Generic, TypeVar, cast

from sklearn.base import BaseEstimator

from oodlib.errors import OodlibError

Method = TypeVar("Method", bound=BaseEstimator)


class Registry(Generic[Method]):
    """The classes of a package's modules, by module name.

    Every module counts but `base` and those whose name starts with an underscore, and each defines one class.

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
    def classes(self) -> dict[str, type[Method]]:
        """The class of each module, in alphabetical order of the modules."""
        names = sorted(info.name for info in pkgutil.iter_modules(sys.modules[self.package].__path__))
        return {name: self._class(name) for name in names if name != "base" and not name.startswith("_")}

    def _class(self, name: str) -> type[Method]:
        module = import_module(f"{self.package}.{name}")
        classes = [value for _, value in inspect.getmembers(module, inspect.isclass)]
        found = [value for value in classes if issubclass(value, self.base) and value.__module__ == module.__name__]
        if len(found) != 1:
            raise OodlibError(f"{module.__name__} defines {len(found)} {self.kind}s: a module here must define one.")
        return cast(type[Method], found[0])

    def make(self, name: str, **parameters: Any) -> Method:
        """Make a method by name.

        Raises
        ------
        OodlibError
            If no module has that name, or the method has no such parameter.
        """
        if name not in self.classes:
            raise OodlibError(f"unknown {self.kind} {name!r}: choose from {', '.join(self.classes)}.")
        known = list(self.classes[name]().get_params())
        for parameter in parameters:
            if parameter not in known:
                raise OodlibError(f"{name} has no parameter {parameter!r}: it takes {', '.join(known) or 'none'}.")
        return self.classes[name](**parameters)

    def attribute(self, name: str) -> type[Method]:
        """A class by its own name; what a package's ``__getattr__`` answers with.

        Raises
        ------
        AttributeError
            If no module defines a class of that name.
        """
        if not name.startswith("_"):
            for known in self.classes.values():
                if known.__name__ == name:
                    return known
        raise AttributeError(f"module {self.package!r} has no attribute {name!r}")
