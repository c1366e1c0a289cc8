"""How released codes of this family read what their papers say, where the two differ; pages show what it changes."""

from __future__ import annotations

import torch
from torch import Tensor


def rebuilt_energy(logits: Tensor, generator: torch.Generator) -> Tensor:
    """VOS's energy as OpenOOD's trainer computes it: (n, C) -> (n,), without a gradient.

    The weights are those of a layer that is made anew at every call, the energies are cut off at -1, and each becomes
    an entry of a list from which a new tensor is built: neither the network nor any weight gets a gradient from it.

    References
    ----------
    OpenOOD, vos_trainer.py, commit 3c35632.
    """
    weight = torch.rand(logits.shape[1], generator=generator)
    energies = (logits + weight.log()).logsumexp(dim=1).clamp(min=-1)
    return torch.tensor([float(energy) for energy in energies.detach()])
