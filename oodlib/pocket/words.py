"""The features of the default outlier words, shipped: encoding 2,000 words takes half a minute of a core.

They are whole numbers of 16 bits with a scale for each row, 1 MB, and are those of the encoder to 1e-5. Whoever asks
for one of these words in these templates gets it, in whatever list. Their key holds the model's weights, the templates
and the words, so that they stand for nothing else. Run `python -m oodlib.pocket.words` after a change of one of them;
without it the words are encoded as any others.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from oodlib.arrays import as_numpy, normalize
from oodlib.cache import write_atomically

WORDS = Path(__file__).with_name("words.safetensors")


@functools.lru_cache(maxsize=1)
def shipped_words(
    weights_sha256: str, templates: tuple[str, ...] | None, file: Path = WORDS
) -> Mapping[str, np.ndarray]:
    """The feature, (256,) float32, of each shipped word, if they are of these weights in these templates; else none."""
    try:
        with safe_open(file, framework="np") as content:
            about = content.metadata() or {}
            words = json.loads(about.get("words", "[]"))
            if about.get("key") != _key(weights_sha256, words, templates):
                return {}
            features: np.ndarray = content.get_tensor("features").astype(np.float32) * content.get_tensor("scale")
    except (FileNotFoundError, SafetensorError):
        return {}
    return dict(zip(words, as_numpy(normalize(features)), strict=True))


def ship(weights_sha256: str, words: Sequence[str], templates: Sequence[str], features: np.ndarray, file: Path) -> None:
    """Write the file that `shipped_words` reads."""
    scale = np.abs(features).max(1, keepdims=True) / np.float32(32767)
    small = {"features": np.round(features / scale).astype(np.int16), "scale": scale}
    about = {"key": _key(weights_sha256, words, templates), "words": json.dumps(list(words))}
    write_atomically(file, functools.partial(save_file, small, metadata=about))


def _key(weights_sha256: str, words: Sequence[str], templates: Sequence[str] | None) -> str:
    ingredients = [weights_sha256, list(words), None if templates is None else list(templates)]
    return hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()


def _main() -> None:
    from oodlib.datasets.wordnet import default_words
    from oodlib.pocket.light import LightEncoder
    from oodlib.prompts.sets import templates as named

    encoder, words, prompts = LightEncoder(), default_words(), named("drawings")
    ship(encoder.spec["weights_sha256"], words, prompts, encoder.encode_texts(words, prompts), WORDS)
    print(f"{len(words)} words, {WORDS.stat().st_size / 1e6:.2f} MB: {WORDS.name}")


if __name__ == "__main__":
    _main()
