"""NP-Mix: outliers between a class and one of its neighbours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from oodlib.errors import OodlibError
from oodlib.tuning.sources.base import Known, Source


class NPMix(Source):
    r"""A picture of a class mixed with one of a class near it.

    .. math:: \lambda z_i + (1 - \lambda) z_j, \qquad \lambda \sim \mathrm{Beta}(a, a)

    Parameters
    ----------
    nearest : int or None, default=3
        How many classes count as near, by their means; as in the authors' code the class itself is one of them and is
        not mixed with. None mixes with every other class.
    concentration : float, default=10.0
        a: the larger, the nearer is :math:`\lambda` to a half.
    queue : int, default=65
        Features of a class that count, at most.

    References
    ----------
    Dong et al., MultiOOD: Scaling Out-of-Distribution Detection for Multiple Modalities, NeurIPS 2024, and the authors'
    code (donghao51/MultiOOD).
    """

    def __init__(self, nearest: int | None = 3, concentration: float = 10.0, queue: int = 65):
        self.nearest = nearest
        self.concentration = concentration
        self.queue = queue

    def make(self, known: Known, n: int, generator: torch.Generator) -> Tensor:
        if (self.nearest is not None and self.nearest < 2) or not self.concentration > 0:
            raise OodlibError(
                f"{self!r}: nearest counts the class itself, so it is at least 2; concentration is above 0."
            )
        queues = known.queues(self.queue)
        if len(queues) < 2:
            raise OodlibError(
                "NP-Mix cannot start: it mixes two classes, and there are pictures of one: pass shots of another."
            )
        means = torch.stack([queue.mean(dim=0) for queue in queues])
        apart = torch.cdist(means, means).fill_diagonal_(torch.inf)
        others = min(self.nearest or len(queues), len(queues)) - 1
        near = apart.topk(others, largest=False).indices  # (C, others)
        own = torch.arange(len(queues)).repeat_interleave(n)
        other = near[own, torch.randint(others, (len(own),), generator=generator)]
        # NumPy draws from this distribution with a seed of its own; torch's do without a generator.
        alike = self.concentration
        drawn = np.random.default_rng(generator.initial_seed()).beta(alike, alike, size=(len(own), 1))
        share = torch.from_numpy(drawn).float()
        return share * _one_of_each(queues, own, generator) + (1 - share) * _one_of_each(queues, other, generator)


def _one_of_each(queues: list[Tensor], classes: Tensor, generator: torch.Generator) -> Tensor:
    """A random feature of each of some classes: int64 (n,) -> (n, D)."""
    sizes = torch.tensor([len(queue) for queue in queues])
    first = sizes.cumsum(0) - sizes
    place = (torch.rand(len(classes), generator=generator, dtype=torch.float64) * sizes[classes]).long()
    return torch.cat(queues)[first[classes] + place]
