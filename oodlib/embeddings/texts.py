"""Text features that are kept, text by text: lists of words that overlap encode what they share once.

A folder of the cache holds what a model makes of texts in one set of prompts. A file of it says which texts it has, in
which folder, and the hash of all that: what is damaged is deleted and made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock

from oodlib.arrays import as_numpy
from oodlib.cache import discard, home_folder, load_sealed, save_sealed, writable
from oodlib.errors import DamagedError, mended
from oodlib.pocket.light import LightEncoder, twin_of

LAYOUT = 2  # raise when the files change


class EncodesTexts(Protocol):
    """What makes the features that are kept; equal digests promise features that are equal but for rounding."""

    @property
    def digest(self) -> str: ...

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] | None = None) -> Any: ...

    def as_features(self, kept: np.ndarray) -> Any: ...


def embed_texts(
    encoder: EncodesTexts, texts: Sequence[str], templates: Sequence[str] | None = None, *, home: Path | None = None
) -> Any:
    """Text features, read from the store, or computed and kept.

    Parameters
    ----------
    encoder : EncodesTexts
        An `Encoder`, a `LightEncoder`, a `TextEncoder`, or the `NoTexts` of an encoder with a "no" head.
    texts : sequence of str
        C names. Those that come with the package or were asked for earlier, with these templates, are read, the others
        encoded.
    templates : sequence of str, optional
        As `Encoder.encode_texts` takes them; part of the key.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.

    Returns
    -------
    Tensor or array
        (C, D) float32 on the CPU, as the encoder's `encode_texts` gives them.

    Raises
    ------
    OodlibError
        If a text is empty, or the cache folder cannot be written.
    """
    asked, encoder = encoder, twin_of(encoder) or encoder
    kept = encoder.shipped_texts(templates) if isinstance(encoder, LightEncoder) else {}
    if not texts or any(text not in kept for text in texts):  # the encoder says what is wrong with no text
        kept = _kept_or_encoded(encoder, texts, templates, kept, home)
    return asked.as_features(np.stack([kept[text] for text in texts]))


def _kept_or_encoded(
    encoder: EncodesTexts,
    texts: Sequence[str],
    templates: Sequence[str] | None,
    shipped: Mapping[str, np.ndarray],
    home: Path | None,
) -> Mapping[str, np.ndarray]:
    """The features of texts that the cache keeps of these templates, and those that come with the package."""
    prompts = None if templates is None else list(templates)
    content = json.dumps([LAYOUT, encoder.digest, prompts])
    folder = home_folder(home) / "texts" / hashlib.sha256(content.encode()).hexdigest()[:24]
    kept = {**_read(folder), **shipped}
    if not texts or any(text not in kept for text in texts):
        writable(folder)
        with FileLock(folder / "lock"):  # another process may be encoding the same words just now
            kept = {**_read(folder), **shipped}
            new = [text for text in dict.fromkeys(texts) if text not in kept]
            if new or not texts:
                kept |= _encode(encoder, new, prompts, folder)
    return kept


def text_tower(encoder: EncodesTexts, templates: Sequence[str]) -> Callable[[Sequence[str]], Any]:
    """What `oodlib.concepts.Concepts` take as `encode`: from texts to their features, which are kept.

    Texts go into the first of the templates alone: a method may make 25 for each picture.

    Parameters
    ----------
    encoder : EncodesTexts
    templates : sequence of str
    """
    return lambda texts: embed_texts(encoder, texts, list(templates)[:1])


def _encode(encoder: EncodesTexts, new: list[str], prompts: list[str] | None, folder: Path) -> dict[str, np.ndarray]:
    """Features of texts that are not kept yet, which are kept in a file more: no file is ever changed."""
    features = as_numpy(encoder.encode_texts(new, prompts))
    name = hashlib.sha256(json.dumps(new).encode()).hexdigest()[:24]
    save_sealed(folder / f"{name}.safetensors", {"features": features}, {"texts": new, "of": folder.name})
    return dict(zip(new, features, strict=True))


def _read(folder: Path) -> dict[str, np.ndarray]:
    """The kept feature of each text; a damaged file is deleted, so that its texts are encoded again."""
    kept: dict[str, np.ndarray] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            if path.is_dir():
                raise DamagedError(f"{path} is a folder")
            arrays, about = load_sealed(path)
            if about.get("of") != folder.name:
                raise DamagedError(f"{path} belongs elsewhere")
        except FileNotFoundError:  # another process found it damaged, too
            continue
        except DamagedError as error:
            mended("what is kept of some texts", error)
            discard(path)  # or not, in a folder that cannot be written, which is said soon
        else:
            kept |= dict(zip(about["texts"], arrays["features"], strict=True))
    return kept
