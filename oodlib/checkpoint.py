"""The state of a training run in one safetensors file, so that it may stop at any step and go on as if it had not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from oodlib.cache import write_atomically
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
    about = {"step": str(step), "recipe": recipe}
    # Tensors that share memory cannot be written as they are.
    write_atomically(path, lambda p: save_file({k: v.contiguous().clone() for k, v in kept.items()}, p, about))


def load_checkpoint(path: Path, optimizer: torch.optim.Optimizer, recipe: str) -> tuple[int, dict[str, Tensor]]:
    """Read a checkpoint: the step to go on from and what was trained; (0, {}) where there is none.

    Raises
    ------
    OodlibError
        If the file is damaged, or was written by another recipe.
    """
    if not path.exists():
        return 0, {}
    try:
        with safe_open(path, "pt") as file:
            about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise OodlibError(f"the checkpoint {path} is damaged ({error}): delete it") from error
    if not about or about.get("recipe") != recipe:
        raise OodlibError(f"{path} is a checkpoint of another recipe: delete it, or choose another folder")
    state: dict[int, dict[str, Tensor]] = {}
    for key in [key for key in tensors if key.startswith("optimizer.")]:
        _, index, name = key.split(".")
        state.setdefault(int(index), {})[name] = tensors.pop(key)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(about["step"]), tensors
