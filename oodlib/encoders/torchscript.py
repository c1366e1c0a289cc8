"""Weights inside TorchScript archives: the form in which OpenAI published CLIP."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

# Three integers that OpenAI's archives keep among the weights.
EXTRAS = ("input_resolution", "context_length", "vocab_size")


def archived_weights(path: str | Path) -> dict[str, Tensor] | None:
    """Read the weights of a TorchScript archive.

    open_clip loads plain weight files by path and refuses archives, because they hold a program as well as weights. The
    program is not run here; still, take archives only from where their authors publish them.

    Parameters
    ----------
    path : str or Path
        Any file, or none.

    Returns
    -------
    dict of str to Tensor, or None
        Name and tensor of each weight, in the precision of the file; None if `path` is not such an archive.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as file:
        # A plain weight file is a zip as well; only an archive keeps the constants of a program.
        if not any(name.endswith("/constants.pkl") for name in file.namelist()):
            return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch will make no new archives; the published ones stay
        state = torch.jit.load(str(path), map_location="cpu").state_dict()
    return {name: value for name, value in state.items() if name not in EXTRAS}
