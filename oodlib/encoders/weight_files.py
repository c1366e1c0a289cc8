"""What a weight file does not say: the activation of its model, and how pictures were scaled and normalised for it.

Wrong answers to either give features that look right and are not, so nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_clip

from oodlib.cache import check_source
from oodlib.errors import OodlibError

CONFIG = "open_clip_config.json"  # what open_clip lays beside the weights that it publishes
STATED = ("mean", "std", "interpolation", "resize_mode")
_CHOICES = {"interpolation": ("bicubic", "bilinear"), "resize_mode": ("shortest", "longest", "squash")}


def how_trained(
    name: str, file: Path, *, quick_gelu: bool | None, like: str | None, stated: Mapping[str, Any] | None
) -> tuple[bool, dict[str, Any]]:
    """Activation and preprocessing of an architecture's weight file.

    Each is looked for in this order: what was stated; the tag that the weights are like; `open_clip_config.json` beside
    the file. The preprocessing then is that of the architecture's tags where all have the same, and open_clip's default
    where there are no tags: an architecture that nobody has published weights of was trained by its owner.

    Parameters
    ----------
    name : str
        An architecture of open_clip.
    file : Path
    quick_gelu, like, stated
        As `load_encoder` takes them, `stated` as `preprocess`.

    Returns
    -------
    (bool, dict)
        Whether the activation is QuickGELU; and those of mean, std, interpolation and resize_mode that are not
        open_clip's default.

    Raises
    ------
    OodlibError
        If one of them cannot be known, there is no such tag, or the configuration beside is of another architecture.
    """
    tags = {tag: _preprocessing(open_clip.get_pretrained_cfg(name, tag)) for tag in tags_of(name)}
    if like is not None:
        beside = open_clip.get_pretrained_cfg(name, like)
        if not beside:
            raise OodlibError(f"{name} has no tag {like!r} that weights could be like: {_one_of(tags)}")
        own = _preprocessing(beside)
    else:
        config = {} if quick_gelu is not None and stated is not None else _beside(name, file)
        beside, own = config.get("model_cfg"), _preprocessing(config.get("preprocess_cfg") or {})
    if quick_gelu is None:
        if beside is None:
            raise OodlibError(
                f"the weight file {file} does not say its activation: pass quick_gelu=True (OpenAI) or False to "
                "load_encoder; on the command line, --quick-gelu or --no-quick-gelu"
            )
        quick_gelu = bool(beside.get("quick_gelu", False))
    if stated is not None or own:
        return quick_gelu, own
    known = list(tags.values())
    if any(other != known[0] for other in known):
        raise OodlibError(
            f"the weight file {file} does not say how pictures are scaled and normalised for it, and the tags of "
            f"{name} differ: pass like=TAG to load_encoder (--like TAG on the command line), {_one_of(tags)}, or lay "
            f"the {CONFIG} of the model beside it"
        )
    return quick_gelu, known[0] if known else {}


def check_stated(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Preprocessing as a mapping, with all that open_clip must know and nothing else.

    Raises
    ------
    OodlibError
        If a key is missing or unknown, or a value cannot be meant.
    """
    if set(stated) != set(STATED):
        raise OodlibError(f"preprocess has the keys {', '.join(map(str, stated))}: pass exactly {', '.join(STATED)}")
    for key, choices in _CHOICES.items():
        if stated[key] not in choices:
            raise OodlibError(f"there is no {key} {stated[key]!r}: choose one of {', '.join(choices)}")
    try:
        mean, std = (np.asarray(stated[key], dtype=np.float64) for key in ("mean", "std"))
    except (TypeError, ValueError):
        mean = std = np.empty(0)
    if mean.shape != (3,) or std.shape != (3,) or not np.isfinite([mean, std]).all() or std.min() <= 0:
        raise OodlibError("preprocess must have a mean and a std of three numbers each, the std above 0")
    return {**stated, "mean": tuple(mean.tolist()), "std": tuple(std.tolist())}


def tags_of(name: str) -> list[str]:
    """open_clip's tags of an architecture."""
    return list(open_clip.list_pretrained_tags_by_model(name))


def _preprocessing(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of it, in open_clip's words."""
    said = {key: config[key] for key in STATED if config.get(key) is not None}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}


def _beside(name: str, file: Path) -> dict[str, Any]:
    """The configuration that lies beside a weight file; empty where there is none."""
    path = file.with_name(CONFIG)
    check_source(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model = config["model_cfg"]
        found = model["embed_dim"], model["vision_cfg"]["image_size"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OodlibError(
            f"{path} cannot be read ({type(error).__name__}: {error}): mend it, or move {file.name} to a folder "
            "without one"
        ) from None
    built = open_clip.get_model_config(name)
    if found != (built["embed_dim"], built["vision_cfg"]["image_size"]):
        raise OodlibError(f"{path} describes another model than {name}: name that one, or move {file.name} elsewhere")
    return dict(config)


def _one_of(tags: Mapping[str, Any]) -> str:
    return f"one of {', '.join(tags)}" if tags else "it has none"
