"""Where the outliers of a training come from: one module a source, found by its name like a fine-tuning method.

A source is an object of its own, so that every training that wants outliers takes any of them.
"""

from __future__ import annotations

from typing import Any

from oodlib.registry import Registry
from oodlib.tuning.sources.base import Known, Source

__all__ = ["Known", "Source", "get_source", "list_sources"]

_registry: Registry[Source] = Registry(__name__, Source, "source of outliers")  # type: ignore[type-abstract]


def list_sources() -> list[str]:
    """Return the names of all sources, in alphabetical order.

    >>> "vos" in list_sources()
    True
    """
    return list(_registry.names)


def get_source(name: str, **parameters: Any) -> Source:
    """Make a source by name.

    >>> get_source("npos", select="released")
    NPOS(select='released')
    """
    return _registry.make(name, **parameters)
