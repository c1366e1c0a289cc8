"""Detectors: one module a method. A new file here is found by its name, with nothing else to edit."""

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

from oodlib.detectors.base import Detector
from oodlib.errors import OodlibError

__all__ = ["Detector", "get_detector", "list_detectors", "name_of"]


def list_detectors() -> list[str]:
    """Return the names of all detectors, in alphabetical order.

    >>> "mcm" in list_detectors()
    True
    """
    return sorted(_classes())


def get_detector(name: str, **parameters: Any) -> Detector:
    """Make a detector by name, for example ``get_detector("mcm", temperature=0.5)``.

    >>> get_detector("mcm", temperature=0.5)
    MCM(temperature=0.5)
    """
    if name not in _classes():
        raise OodlibError(f"unknown detector {name!r}: choose from {', '.join(list_detectors())}.")
    known = list(_classes()[name]().get_params())
    for parameter in parameters:
        if parameter not in known:
            raise OodlibError(f"{name} has no parameter {parameter!r}: it takes {', '.join(known) or 'none'}.")
    return _classes()[name](**parameters)


def name_of(detector: Detector) -> str:
    """Return the name that `get_detector` knows a detector by; of a detector from elsewhere, its class name."""
    for name, known in _classes().items():
        if type(detector) is known:
            return name
    return type(detector).__name__


@cache
def _classes() -> dict[str, type[Detector]]:
    """Find the detector class of each module beside this one, by module name."""
    classes = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name == "base" or info.name.startswith("_"):
            continue
        module = import_module(f"{__name__}.{info.name}")
        found = [
            value
            for value in vars(module).values()
            if inspect.isclass(value) and issubclass(value, Detector) and value.__module__ == module.__name__
        ]
        if len(found) != 1:
            raise OodlibError(f"{module.__name__} defines {len(found)} detectors: a module here must define one.")
        classes[info.name] = found[0]
    return classes


def __getattr__(name: str) -> Any:
    """Let ``from oodlib.detectors import MCM`` work for every detector class."""
    if not name.startswith("_"):
        for known in _classes().values():
            if known.__name__ == name:
                return known
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
