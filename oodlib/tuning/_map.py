"""A small change of kept features: what tuning the image tower does to the space, cheaply."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def starting_map(dims: int, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Down (D, r) and up (r, D) of a map that leaves features as they are: up is zero, as in LoRA."""
    down = torch.randn(dims, rank, generator=generator) * dims**-0.5
    return down.requires_grad_(), torch.zeros(rank, dims).requires_grad_()


def mapped(features: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Features (n, D) plus what the map makes of them, L2-normalised."""
    return F.normalize(features + features @ down @ up, dim=1)
