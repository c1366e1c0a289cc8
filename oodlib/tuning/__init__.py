"""Fine-tuning: one module a method. A new file here is found by its name, with nothing else to edit."""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from oodlib.concepts import Concepts
from oodlib.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning.base import Shots, Tuned, Tuner

__all__ = ["Shots", "Tuned", "Tuner", "get_tuner", "list_tuners", "tune"]


def tune(
    method: str | Tuner,
    encoder: Encoder,
    concepts: Concepts,
    shots: Shots,
    *,
    seed: int = 0,
    checkpoint: Path | None = None,
    progress: bool = False,
    **parameters: Any,
) -> Tuned:
    """Tune a model to a few labelled pictures.

    Parameters
    ----------
    method : str or Tuner
        A name that `list_tuners` knows, or a method made already.
    encoder : Encoder
    concepts : Concepts
        The zero-shot concepts.
    shots : Shots
    seed, checkpoint, progress
        As `Tuner.fit` takes them.
    **parameters
        Of the method, where it is given by name.

    Returns
    -------
    Tuned
        `Tuned.concepts` is what detectors are fitted to, `Tuned.transform` what image features go through first.
    """
    if isinstance(method, Tuner) and parameters:
        raise OodlibError(f"{method!r} is made already: set {', '.join(parameters)} when you make it.")
    tuner = method if isinstance(method, Tuner) else get_tuner(method, **parameters)
    return tuner.fit(encoder, concepts, shots, seed=seed, checkpoint=checkpoint, progress=progress)


def list_tuners() -> list[str]:
    """Return the names of all methods, in alphabetical order.

    >>> "coop" in list_tuners()
    True
    """
    return sorted(_classes())


def get_tuner(name: str, **parameters: Any) -> Tuner:
    """Make a method by name.

    >>> get_tuner("tip_adapter", beta=5.5)
    TipAdapter(beta=5.5)
    """
    if name not in _classes():
        raise OodlibError(f"unknown fine-tuning method {name!r}: choose from {', '.join(list_tuners())}.")
    known = list(_classes()[name]().get_params())
    for parameter in parameters:
        if parameter not in known:
            raise OodlibError(f"{name} has no parameter {parameter!r}: it takes {', '.join(known) or 'none'}.")
    return _classes()[name](**parameters)


@cache
def _classes() -> dict[str, type[Tuner]]:
    """Find the method class of each module beside this one, by module name."""
    classes = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name == "base" or info.name.startswith("_"):
            continue
        module = import_module(f"{__name__}.{info.name}")
        found = [
            value
            for value in vars(module).values()
            if inspect.isclass(value) and issubclass(value, Tuner) and value.__module__ == module.__name__
        ]
        if len(found) == 1:
            classes[info.name] = found[0]
    return classes
