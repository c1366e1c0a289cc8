"""Text features that are kept: a vocabulary of thousands of words is encoded once for a model and its prompts."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from oodlib.cache import home_folder, writable, write_atomically

if TYPE_CHECKING:
    from oodlib.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


def embed_texts(
    encoder: Encoder | LightEncoder,
    texts: Sequence[str],
    templates: Sequence[str] | None = None,
    *,
    home: Path | None = None,
) -> Any:
    """Text features, read from the store, or computed and kept.

    Parameters
    ----------
    encoder : Encoder or LightEncoder
    texts : sequence of str
        C names; their order is part of the key.
    templates : sequence of str, optional
        As `Encoder.encode_texts` takes them; part of the key.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.

    Returns
    -------
    Tensor or array
        (C, D) float32 on the CPU, L2-normalised, as `Encoder.encode_texts` gives them.

    Raises
    ------
    OodlibError
        If a text is empty, or the cache folder cannot be written.
    """
    if encoder.runtime == "onnx" and (shipped := encoder.shipped_texts(texts, templates)) is not None:
        return shipped
    content = json.dumps([encoder.digest, list(texts), None if templates is None else list(templates)])
    folder = home_folder(home) / "texts"
    path = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.safetensors"
    found = _read(path)
    if found is None:
        writable(folder)
        with FileLock(f"{path}.lock"):
            found = _read(path)
            if found is None:
                found = np.ascontiguousarray(encoder.encode_texts(texts, templates))
                write_atomically(path, functools.partial(save_file, {"features": found}))
    return encoder.as_features(found)


def _read(path: Path) -> np.ndarray | None:
    """The kept features; None where there are none or the file is damaged, so that they are made again."""
    try:
        return load_file(path)["features"]
    except (FileNotFoundError, SafetensorError, KeyError):
        return None
