"""Image towers without texts: what a picture is to a model that was never shown words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from torch import Tensor

from oodlib.cache import sha256_of
from oodlib.encoders.encoder import Encoder
from oodlib.encoders.timm_towers import Pictures
from oodlib.errors import OodlibError
from oodlib.pocket.assemble import IMAGE_SIZE, TOWER
from oodlib.pocket.patch_tower import NAMES, SIDE, load_patch_tower, untaught, weights_file
from oodlib.pocket.start import image_tower_file, image_tower_weights

IMAGENET, UNTAUGHT = "imagenet", "untaught"
TOWERS = (IMAGENET, UNTAUGHT, *NAMES)
# All were taught on pixels scaled to [-1, 1].
HALF = (0.5, 0.5, 0.5)


def load_tower(name: str) -> Encoder:
    """Load a tower that comes with packages or with the library, on the CPU.

    Parameters
    ----------
    name : str
        "imagenet": EfficientNet-Lite0 as its package has it, taught ImageNet's classes (1,280 numbers, none negative).
        Or one of the three small towers of `oodlib.pocket.mim`: "masked", "named", "masked-then-named" (128 numbers);
        or "untaught", what they were before.

    Returns
    -------
    Encoder
        Its features are *not* normalised: the methods that MOODv2 compares take them as they come. It has no texts, and
        says so when it is asked for some.

    Raises
    ------
    OodlibError
        If there is no such tower, or its weights are missing or damaged.
    """
    if name not in TOWERS:
        raise OodlibError(f"there is no tower {name!r}: choose one of {', '.join(TOWERS)}")
    tower: Any
    file: Path | None
    if name == IMAGENET:
        tower, side, file = timm.create_model(TOWER, num_classes=0), IMAGE_SIZE, image_tower_file()
        tower.load_state_dict(image_tower_weights(tower))
    elif name == UNTAUGHT:
        tower, side, file = untaught(), SIDE, None
    else:
        (tower, _), side, file = load_patch_tower(name), SIDE, weights_file(name)

    def no_texts(*_: Any, **__: Any) -> Tensor:
        raise OodlibError(f"the tower {name!r} has no texts: take an encoder of load_encoder for those")

    spec = {
        "model": f"tower:{name}",
        "pretrained": None,
        "weights_sha256": sha256_of(file) if file else None,
        "files_sha256": None,
        "quick_gelu": False,
        "preprocess": {
            "size": [side, side],
            "mean": list(HALF),
            "std": list(HALF),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
            "mode": "RGB",
        },
        "normalised": False,
        "precision": "fp32",
        "device": "cpu",
        "versions": {"timm": timm.__version__, "torch": torch.__version__.split("+")[0]},
    }
    steps = open_clip.image_transform(side, is_train=False, mean=HALF, std=HALF, interpolation="bicubic")
    return Encoder(Pictures(tower), steps, no_texts, spec)
