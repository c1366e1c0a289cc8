"""Fine-tuning: one module a method. A new file here is found by its name, with nothing else to edit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.registry import Registry
from oodlib.tuning._shots import take_shots
from oodlib.tuning._stages import encode_manifest, features_of_maps
from oodlib.tuning.base import Shots, Tuned, Tuner

__all__ = [
    "Shots",
    "Tuned",
    "Tuner",
    "encode_manifest",
    "features_of_maps",
    "get_tuner",
    "list_tuners",
    "take_shots",
    "tune",
]

_registry: Registry[Tuner] = Registry(__name__, Tuner, "fine-tuning method")  # type: ignore[type-abstract]


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
        A name that `list_tuners` knows, or a method that is built already.
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
        raise OodlibError(f"{method!r} is built already: set {', '.join(parameters)} when you build it.")
    tuner = method if isinstance(method, Tuner) else get_tuner(method, **parameters)
    return tuner.fit(encoder, concepts, shots, seed=seed, checkpoint=checkpoint, progress=progress)


def list_tuners() -> list[str]:
    """Return the names of all methods, in alphabetical order.

    >>> "coop" in list_tuners()
    True
    """
    return list(_registry.names)


def get_tuner(name: str, **parameters: Any) -> Tuner:
    """Make a method by name.

    >>> get_tuner("tip_adapter", beta=5.5)
    TipAdapter(beta=5.5)
    """
    return _registry.make(name, **parameters)
