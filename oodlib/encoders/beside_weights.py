"""What a model reads besides a weight file: tokenizer and configurations, of which any may change a feature."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import try_to_load_from_cache

from oodlib.cache import digest_of_files, sha256_of
from oodlib.encoders.weight_files import CONFIG

LOCAL, HUB = "local-dir:", "hf-hub:"
HERE = "."
# What open_clip and transformers look for, by any of their tokenizers.
READ = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)
HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # in open_clip's order


def beside_weights(source: str) -> str | None:
    """One SHA-256 over all that is read of a model besides its weight file, wherever it lies.

    Of `hf-hub:` the weights are among it, because open_clip takes them from the hub itself. Call it once the model is
    loaded: then the hub's cache has all that is needed.

    Parameters
    ----------
    source : str
        As open_clip takes it: a name of an architecture, `local-dir:FOLDER` or `hf-hub:ORG/REPO`.

    Returns
    -------
    str or None
        None where everything else comes with open_clip, whose version the specification has.
    """
    hashes: dict[str, str] = {}
    if source.startswith(LOCAL):
        folder = Path(source.removeprefix(LOCAL))
        config = _own(folder, json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        hashes[CONFIG] = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
        hashes |= _hashes("", str(folder))
        towers = [_text(config).get("hf_model_name")]  # the tokenizer is the folder's in any case
    elif source.startswith(HUB):
        repository = source.removeprefix(HUB)
        hashes |= _hashes("", repository, (CONFIG, *READ))
        weights = (_hashes("", repository, (name,)) for name in HUB_WEIGHTS)
        hashes |= next((found for found in weights if found), {})
        file = _found(repository, CONFIG)
        towers = _named(json.loads(file.read_text(encoding="utf-8")) if file else {})
    else:
        towers = _named({"model_cfg": open_clip.get_model_config(source) or {}})
    for number, place in enumerate(towers):
        hashes |= _hashes(str(number), place) if place and place != HERE else {}
    return digest_of_files(hashes) if hashes else None


def _own(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the place of a folder that holds its text tower itself: it may be moved."""
    text = _text(config)
    for key in ("hf_model_name", "hf_tokenizer_name"):
        if (folder / "config.json").is_file() and Path(text.get(key) or "").is_absolute():
            text[key] = HERE
    return config


def _text(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = config["model_cfg"].get("text_cfg", {}) if "model_cfg" in config else {}
    return found


def _named(config: dict[str, Any]) -> list[str | None]:
    """Folders or repositories of the text tower and its tokenizer."""
    return [_text(config).get(key) for key in ("hf_model_name", "hf_tokenizer_name")]


def _hashes(label: str, place: str, names: tuple[str, ...] = READ) -> dict[str, str]:
    """SHA-256 of those files that a folder or a repository has."""
    files = {name: _found(place, name) for name in names}
    return {f"{label}/{name}": sha256_of(file) for name, file in files.items() if file}


def _found(place: str, name: str) -> Path | None:
    if Path(place).is_dir():
        return path if (path := Path(place) / name).is_file() else None
    try:
        found = try_to_load_from_cache(place, name)
    except ValueError:  # no name of a repository
        return None
    return Path(found) if isinstance(found, str) else None
