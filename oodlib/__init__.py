"""oodlib: out-of-distribution detection with vision-language models."""

from typing import Any

__version__ = "0.1.0"

_LAZY = ("Guard", "detect")


def __getattr__(name: str) -> Any:
    """Let ``from oodlib import detect`` work, and load a model's libraries only then."""
    if name in _LAZY:
        from oodlib import guard

        return getattr(guard, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
