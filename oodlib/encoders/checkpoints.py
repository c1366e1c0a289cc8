"""Weights as training scripts leave them: the state dict is looked for, and refused where it is not to be told.

Nothing of a file is run: torch reads tensors and plain values only, and from NumPy the numbers and arrays that lie
beside them, such as the best loss.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed, resize_text_pos_embed
from safetensors.torch import load_file
from torch import Tensor, nn

from oodlib.encoders.torchscript import archived_weights
from oodlib.errors import OodlibError

# Where open_clip, Lightning and other loops keep the state dict beside the optimizer's.
NESTED = ("state_dict", "model_state_dict", "model", "module")
# What wrappers put before every name: parallel training, torch.compile, Lightning.
WRAPPERS = ("module.", "_orig_mod.", "model.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a model from a safetensors file, a file of torch.save or a TorchScript archive.

    Returns
    -------
    dict of str to Tensor
        Without the names that wrappers put before every key.

    Raises
    ------
    OodlibError
        If the file holds objects of other kinds, or no state dict that could be told from the rest.
    """
    archive = archived_weights(path)
    if archive is not None:
        return archive
    held = load_file(path) if path.suffix == ".safetensors" else _load(path)
    weights = _state_dict(held, path)
    while wrapper := next((word for word in WRAPPERS if all(key.startswith(word) for key in weights)), None):
        weights = {key.removeprefix(wrapper): value for key, value in weights.items()}
    return weights


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put weights into a model of open_clip, as its own loading does it: older layouts and other sizes fit.

    Raises
    ------
    RuntimeError
        If a weight is missing, unknown or of another shape.
    """
    state: dict[str, Any] = convert_state_dict(model, dict(weights))
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):  # a number, or one in a vector
        own = getattr(model, name, None)
        if name in state and own is not None:
            state[name] = state[name].reshape(own.shape)
    if getattr(model, "logit_bias", None) is not None and "logit_scale" in state:
        state.setdefault("logit_bias", torch.zeros_like(state["logit_scale"]))
    state.pop("text.transformer.embeddings.position_ids", None)  # of older versions of transformers
    resize_pos_embed(state, model)
    resize_text_pos_embed(state, model)
    model.load_state_dict(state)


def _load(path: Path) -> Any:
    """What torch.save wrote."""
    # Under the names of newer and older versions of NumPy.
    makers: list[Any] = [np.float64(0).__reduce__()[0], np.empty(0).__reduce__()[0]]
    names = ("numpy._core.multiarray", "numpy.core.multiarray")
    plain: list[Any] = [(maker, f"{name}.{maker.__name__}") for name in names for maker in makers]
    plain += [np.dtype, np.ndarray, *{type(np.dtype(code)) for code in "?bhilqBHILQefd"}]
    try:
        with torch.serialization.safe_globals(plain):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"more than weights ({found[1]})" if found else "more than weights, or is damaged"
        raise OodlibError(
            f"the weight file {path} holds {what}, and only tensors are read from it, because all else may run code: "
            "save model.state_dict() alone"
        ) from None


def _state_dict(held: Any, path: Path) -> dict[str, Tensor]:
    """The mapping from names to tensors in what a file holds."""
    found = held
    while isinstance(found, Mapping) and not _is_state(found):
        inner = next((found[key] for key in NESTED if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not _is_state(found):
        keys = ", ".join(str(key) for key in list(held)[:5]) if isinstance(held, Mapping) else type(held).__name__
        raise OodlibError(
            f"the weight file {path} holds no state dict, alone or under {', '.join(NESTED)}, but {keys}: save "
            "model.state_dict() alone"
        )
    return dict(found)


def _is_state(found: Mapping[Any, Any]) -> bool:
    return bool(found) and all(isinstance(value, Tensor) for value in found.values())
