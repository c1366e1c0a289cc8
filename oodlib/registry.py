"""Methods found by name: one module a method, in one package, with nothing to edit when a file is added."""

from __future__ import annotations

import inspect
import pkgutil
import sys
from functools import cached_property
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from oodlib.errors import OodlibError, naming_extras
from oodlib.parameters import check_values, types_of


class Estimator(Protocol):
    """The part of scikit-learn's contract that a registry needs."""

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...


Method = TypeVar("Method", bound=Estimator)


class Registry(Generic[Method]):
    """The classes of a package's modules, by module name.

    Every module counts but `base` and those whose name starts with an underscore, and each defines one class. A module
    is imported when its class is asked for: a name costs no more than its own method.

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
        found = (info.name for info in pkgutil.iter_modules(sys.modules[self.package].__path__))
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
        """What the parameters of a method take, by name in alphabetical order (`oodlib.parameters.types_of`).

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
