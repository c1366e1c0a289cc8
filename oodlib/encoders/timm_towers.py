"""Any image tower of timm by its name, such as BEiT's: for detectors that read features and no names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn

from oodlib.cache import digest_of_tensors
from oodlib.encoders.encoder import Encoder
from oodlib.encoders.weights import RANDOM
from oodlib.errors import OodlibError


class Pictures(nn.Module):
    """A tower where an `Encoder` expects a model with two."""

    def __init__(self, visual: nn.Module):
        super().__init__()
        self.visual = visual

    def encode_image(self, batch: Tensor) -> Tensor:
        features: Tensor = self.visual(batch)
        return features


def load_timm(name: str, pretrained: str | None = None, *, device: str = "cpu") -> Encoder:
    """Load an image tower of timm without its classifier, with the preprocessing that timm states for it.

    Parameters
    ----------
    name : str
        As `timm.list_models` has it, with or without the tag of its weights: "beit_base_patch16_224".
    pretrained : str, optional
        A weight file in safetensors, or "random" for random weights by a fixed seed. By default those that timm
        downloads for the name.
    device : str
        As torch names it.

    Returns
    -------
    Encoder
        Its features are *not* normalised, and it has no texts.

    Raises
    ------
    OodlibError
        If timm has no such tower, or the weights cannot be had.
    """
    if not timm.is_model(name):
        raise OodlibError(f"timm has no tower {name!r}: `timm.list_models()` lists the names")
    file = None if pretrained in (None, RANDOM) else Path(str(pretrained))
    if file and (file.suffix != ".safetensors" or not file.is_file()):
        raise OodlibError(
            f"the weights {str(file)!r} of {name} are no file in safetensors: pass such a file, 'random', or none "
            "for those that timm downloads"
        )
    own: dict[str, Any] = {"pretrained_cfg_overlay": {"file": str(file)}} if file else {}
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            tower = timm.create_model(name, pretrained=pretrained != RANDOM, num_classes=0, **own)
    except Exception as error:  # timm and the hub client raise many kinds
        line = " ".join(str(error).split())[:160] or type(error).__name__
        raise OodlibError(
            f"timm's tower {name!r} cannot be loaded ({line}): check its tag, the weight file and the network"
        ) from error
    config = resolve_model_data_config(tower)  # type: ignore[no-untyped-call]  # timm has few types

    def no_texts(*_: Any, **__: Any) -> Tensor:
        raise OodlibError(f"the tower {name!r} has no texts: take an encoder of load_encoder for those")

    spec = {
        "model": f"timm:{name}",
        "pretrained": file.name if file else pretrained or tower.pretrained_cfg.get("tag"),
        "weights_sha256": digest_of_tensors(tower.state_dict()),  # of a download, the tag alone says too little
        "files_sha256": None,
        "quick_gelu": False,
        "preprocess": {
            "size": list(config["input_size"][1:]),
            "mean": list(config["mean"]),
            "std": list(config["std"]),
            "interpolation": config["interpolation"],
            "crop_pct": config["crop_pct"],
            "crop_mode": config["crop_mode"],
            "mode": "RGB",
        },
        "normalised": False,
        "precision": "fp32",
        "device": device.split(":")[0],
        "versions": {"timm": timm.__version__, "torch": torch.__version__.split("+")[0]},
    }
    return Encoder(Pictures(tower), create_transform(**config, is_training=False), no_texts, spec, device)
