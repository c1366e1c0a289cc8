"""Detectors: one module a method. A new file here is found by its name, with nothing else to edit."""

from typing import Any

from oodlib.detectors.base import Detector
from oodlib.registry import Registry

__all__ = ["Detector", "get_detector", "list_detectors", "name_of", "parameters_of"]

_registry: Registry[Detector] = Registry(__name__, Detector, "detector")  # type: ignore[type-abstract]


def list_detectors() -> list[str]:
    """Return the names of all detectors, in alphabetical order.

    >>> "mcm" in list_detectors()
    True
    """
    return list(_registry.names)


def get_detector(name: str, **parameters: Any) -> Detector:
    """Make a detector by name, for example ``get_detector("mcm", temperature=0.5)``.

    >>> get_detector("mcm", temperature=0.5)
    MCM(temperature=0.5)
    """
    return _registry.make(name, **parameters)


def parameters_of(name: str) -> dict[str, Any]:
    """Return what the parameters of a detector take, by name.

    >>> parameters_of("mcm")
    {'temperature': <class 'float'>}
    """
    return _registry.takes(name)


def name_of(detector: Detector) -> str:
    """Return the name that `get_detector` knows a detector by; of a detector from elsewhere, its class name."""
    return _registry.name_of(detector)


def __getattr__(name: str) -> Any:
    """Let ``from oodlib.detectors import MCM`` work for every detector class."""
    return _registry.attribute(name)
