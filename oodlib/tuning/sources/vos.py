"""VOS: outliers from the thin edge of a Gaussian around every class."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.stats import chi
from torch import Tensor

from oodlib.errors import OodlibError
from oodlib.tuning.sources.base import Known, Source


def shared_gaussian(queues: Sequence[Tensor], jitter: float) -> tuple[Tensor, Tensor]:
    r"""Class means, and one covariance for all classes.

    .. math:: \Sigma = \frac{1}{N} \sum_c \sum_{z \in c} (z - \mu_c)(z - \mu_c)^\top + \epsilon I

    Parameters
    ----------
    queues : sequence of Tensor
        (n_c, D) each.
    jitter : float
        :math:`\epsilon`.

    Returns
    -------
    tuple of Tensor
        (C, D) and (D, D).
    """
    means = torch.stack([queue.mean(dim=0) for queue in queues])
    centred = torch.cat([queue - mean for queue, mean in zip(queues, means, strict=True)])
    return means, centred.T @ centred / len(centred) + jitter * torch.eye(centred.shape[1])


def least_likely(noise: Tensor, select: int) -> Tensor:
    """Which of the draws L n of a Gaussian have the lowest density: those with the longest n.

    Parameters
    ----------
    noise : Tensor
        (C, n, D) standard normal.
    select : int

    Returns
    -------
    Tensor
        int64 (C, select).
    """
    return noise.square().sum(dim=2).topk(select, dim=1).indices


def farthest_draws(n: int, of: int, dims: int, generator: torch.Generator) -> Tensor:
    r"""What `least_likely` leaves of `of` standard normal draws with ``select=1``, n times, without making them.

    The length of a standard normal vector says nothing about its direction. So the longest of m is a random direction
    at the largest of m lengths, whose distribution is :math:`\chi^m`: one uniform number gives it.

    Parameters
    ----------
    n, of, dims : int
    generator : torch.Generator

    Returns
    -------
    Tensor
        (n, dims).
    """
    direction = torch.nn.functional.normalize(torch.randn(n, dims, generator=generator), dim=1)
    uniform = torch.rand(n, 1, generator=generator, dtype=torch.float64)
    # The share of lengths beyond the largest: 1 - u^(1/m), without writing down a number near 1.
    beyond = -torch.expm1(uniform.log() / of)
    return direction * torch.from_numpy(chi.isf(beyond.numpy(), dims)).float()


class VOS(Source):
    r"""Of many draws around a class mean the least likely one.

    Every class is a Gaussian around its own mean, all with one covariance (`shared_gaussian`).

    Parameters
    ----------
    sample : int, default=10000
        Draws of which one is kept.
    queue : int, default=1000
        Features of a class that count, at most. The authors' code waits until every class has as many, which with few
        shots never happens; here a queue is as long as the shots allow.
    jitter : float, default=0.0001
        Added to the variances, :math:`\epsilon`.

    References
    ----------
    Du et al., VOS: Learning What You Don't Know by Virtual Outlier Synthesis, ICLR 2022, and the authors' code
    (deeplearning-wisc/vos), whose numbers the defaults are.
    """

    def __init__(self, sample: int = 10_000, queue: int = 1000, jitter: float = 1e-4):
        self.sample = sample
        self.queue = queue
        self.jitter = jitter

    def make(self, known: Known, n: int, generator: torch.Generator) -> Tensor:
        if self.sample < 1 or not self.jitter > 0:
            raise OodlibError(f"{self!r}: sample is at least 1, and jitter above 0.")
        queues = known.queues(self.queue)
        if not any((queue != queue[0]).any() for queue in queues):
            raise OodlibError(
                "VOS cannot start: no class has two different features, so that there is no spread to go to the edge "
                "of: pass more shots, or more views of each."
            )
        means, covariance = shared_gaussian(queues, self.jitter)
        noise = farthest_draws(n * len(means), self.sample, means.shape[1], generator)
        made: Tensor = means.repeat_interleave(n, dim=0) + noise @ torch.linalg.cholesky(covariance).T
        return made
