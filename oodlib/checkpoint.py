"""The state of a training run in one file, so that it may stop at any step and go on as if it had not.

It is a safetensors file that knows its own hash: a run does not go on from damage.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from oodlib.cache import load_sealed, save_sealed
from oodlib.errors import OodlibError


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, step: int, recipe: str
) -> None:
    """Write what is trained and the optimizer's state after `step` steps; a kill leaves the earlier file whole.

    Parameters
    ----------
    path : Path
    tensors : mapping of str to Tensor
    optimizer : torch.optim.Optimizer
    step : int
    recipe : str
        Everything that decides the run: `load_checkpoint` goes on only with the same.
    """
    kept = dict(tensors)
    for index, state in optimizer.state_dict()["state"].items():
        kept |= {f"optimizer.{index}.{name}": value for name, value in state.items() if value is not None}
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in kept.items()}
    save_sealed(path, arrays, {"step": step, "recipe": recipe})


def load_checkpoint(path: Path, optimizer: torch.optim.Optimizer, recipe: str) -> tuple[int, dict[str, Tensor]]:
    """Read a checkpoint: the step to go on from and what was trained; (0, {}) where there is none.

    Raises
    ------
    OodlibError
        If the file is damaged (`DamagedError`), or was written by another recipe.
    """
    if not path.exists():
        return 0, {}
    arrays, about = load_sealed(path)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if about.get("recipe") != recipe:
        raise OodlibError(f"{path} is a checkpoint of another recipe: delete it, or choose another folder")
    state: dict[int, dict[str, Tensor]] = {}
    for key in [key for key in tensors if key.startswith("optimizer.")]:
        _, index, name = key.split(".")
        state.setdefault(int(index), {})[name] = tensors.pop(key)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return about["step"], tensors
