"""Named ways to make a square of a picture: papers that use one model do not all show it the same pixels.

All scale the shorter side and cut out the middle. They differ in how far they scale, and in how.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

from oodlib.errors import OodlibError

# Shorter side after scaling for a model of 224 pixels, and interpolation.
VARIANTS: dict[str, tuple[int, str]] = {
    # OpenAI's own, and open_clip's for its weights.
    "openai": (224, "bicubic"),
    # MCM, EOE: torchvision's Resize as it comes, which is bilinear.
    "mcm": (224, "bilinear"),
    # OpenOOD, OpenOOD-VLM and what is built on them: the outer rim of the picture is cut off.
    "openood": (256, "bicubic"),
}


def check_variant(name: str) -> None:
    """Refuse a name that no variant has."""
    if name not in VARIANTS:
        raise OodlibError(f"there is no preprocessing {name!r}: choose one of {', '.join(VARIANTS)}, or None")


def preprocessing(name: str, own: Mapping[str, Any]) -> tuple[Compose, dict[str, Any]]:
    """The steps of a named variant, and what a specification says of them.

    Parameters
    ----------
    name : str
        A key of `VARIANTS`.
    own : mapping
        The model's own preprocessing as open_clip describes it: `size`, `mean` and `std` are kept. For a model whose
        pictures have another side than 224 the shorter side is scaled in proportion.

    Returns
    -------
    (Compose, dict)
        From an RGB picture to float (3, H, W); its last two steps are ToTensor and Normalize.

    Raises
    ------
    OodlibError
        If there is no such variant.
    """
    check_variant(name)
    size = own["size"]
    side = size if isinstance(size, int) else min(size)
    shorter, interpolation = VARIANTS[name]
    shorter = round(shorter * side / 224)
    steps = [
        Resize(shorter, InterpolationMode(interpolation)),
        CenterCrop(side),
        ToTensor(),
        Normalize(mean=own["mean"], std=own["std"]),
    ]
    spec = {
        "variant": name,
        "resize": shorter,
        "interpolation": interpolation,
        "resize_mode": "shortest",
        "size": [side, side],
        "mean": list(own["mean"]),
        "std": list(own["std"]),
        "mode": "RGB",
    }
    return Compose(steps), spec
