"""NPOS: outliers from noise around the pictures at the edge of their class, without a Gaussian."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from oodlib.errors import OodlibError
from oodlib.tuning.sources.base import Known, Source, unit

Select = Literal["farthest", "released"]


def kth_distances(points: Tensor, queue: Tensor, k: int) -> Tensor:
    """Squared distance of unit features to their k-th nearest in a queue, where a point that is in it counts itself.

    Parameters
    ----------
    points : Tensor
        (n, D), of any length but 0.
    queue : Tensor
        (q, D).
    k : int

    Returns
    -------
    Tensor
        (n,); NaN for a row of zeros.
    """
    # On unit features the k-th nearest is the one with the k-th largest cosine: no distance but that one is computed.
    apart = (unit(points) @ unit(queue).T).neg_().numpy()
    apart.partition(k - 1, axis=1)  # NumPy's takes a tenth of the time of torch's kthvalue
    return 2 + 2 * torch.from_numpy(apart[:, k - 1].copy())


def boundary(queue: Tensor, k: int, select: int) -> Tensor:
    """Rows of a queue (q, D) whose k-th neighbour is farthest, farthest first: int64 (select,). NaN is far."""
    return kth_distances(queue, queue, k).topk(select).indices


def candidates(edge: Tensor, noise: Tensor, scale: float) -> Tensor:
    """Noise around points of the boundary, pick by pick: (p, D) and (d, D) -> (p * d, D); all have the same noise."""
    return (edge[:, None] + scale * noise).flatten(end_dim=1)


def chosen(distances: Tensor, picks: int, keep: int, select: Select) -> Tensor:
    """Which candidates of each pick are returned.

    Parameters
    ----------
    distances : Tensor
        (p * d,): of each candidate to its k-th neighbour, pick by pick.
    picks, keep : int
        p, and how many of each pick.
    select : "farthest" or "released"
        What the paper says; or what its code does, which reads the distances as if they lay draw by draw. It then takes
        places of a table in which picks are mixed, so that what it returns is no farther out than any candidate.

    Returns
    -------
    Tensor
        int64 (p * keep,).
    """
    draws = len(distances) // picks
    table = distances.reshape(picks, draws).T if select == "farthest" else distances.reshape(draws, picks)
    places = table.topk(keep, dim=0).indices.T  # (p, keep)
    return (places + draws * torch.arange(picks)[:, None]).flatten()


class NPOS(Source):
    """Noise around the features whose k-th neighbour in their class is farthest; of it the farthest.

    Parameters
    ----------
    select : "farthest" or "released", default="farthest"
        As `chosen` takes it. Of the farthest, those nearer to the class than the point that they were made around are
        left out: an outlier beyond the boundary is what is promised.
    neighbour, edge : float, default=0.4, 0.3
        k, and how many features are the boundary, as shares of a class's queue; in the authors' code they are 400 and
        300.
    picks : int, default=3
        Points of the boundary that noise is put around, at a time.
    draws, keep : int, default=1500, 1
        Noise around each point, and how many of these are kept.
    scale : float, default=0.1
        Standard deviation of the noise, in each dimension.
    queue : int, default=1000
        Features of a class that count, at most.

    References
    ----------
    Tao et al., Non-Parametric Outlier Synthesis, ICLR 2023, and the authors' code (deeplearning-wisc/npos).
    """

    def __init__(
        self,
        select: Select = "farthest",
        neighbour: float = 0.4,
        edge: float = 0.3,
        picks: int = 3,
        draws: int = 1500,
        keep: int = 1,
        scale: float = 0.1,
        queue: int = 1000,
    ):
        self.select = select
        self.neighbour = neighbour
        self.edge = edge
        self.picks = picks
        self.draws = draws
        self.keep = keep
        self.scale = scale
        self.queue = queue

    def make(self, known: Known, n: int, generator: torch.Generator) -> Tensor:
        if self.select not in get_args(Select):
            raise OodlibError(f"unknown select {self.select!r}: choose from {', '.join(get_args(Select))}.")
        if not (0 < self.neighbour <= 1 and 0 < self.edge <= 1 and self.scale > 0):
            raise OodlibError(f"{self!r}: neighbour and edge are shares above 0, and scale is above 0.")
        if self.picks < 1 or not 1 <= self.keep <= self.draws:
            raise OodlibError(f"{self!r}: picks and keep are at least 1, and keep is at most draws.")
        queues = [queue for queue in known.queues(self.queue) if len(queue) > 1]
        if not queues:
            raise OodlibError(
                "NPOS cannot start: no class has two features, so that none is at its edge: pass more shots, or more "
                "views of each."
            )
        made = []
        for _ in range(-(-n // (self.picks * self.keep))):
            # As in the authors' code all points of all classes have the same noise.
            noise = torch.randn(self.draws, known.features.shape[1], generator=generator)
            made += [self._around(queue, noise, generator) for queue in queues]
        found = torch.cat(made)
        if not len(found):
            raise OodlibError(f"{self!r}: none of its noise leads out of a class: take more draws, or a larger scale.")
        return found

    def _around(self, queue: Tensor, noise: Tensor, generator: torch.Generator) -> Tensor:
        """Outliers of one class, at most picks * keep."""
        k = max(2, round(self.neighbour * len(queue)))  # the nearest of a point is the point
        own = kth_distances(queue, queue, k)
        edge = own.topk(max(1, round(self.edge * len(queue)))).indices
        picked = edge[torch.randint(len(edge), (self.picks,), generator=generator)]
        made = candidates(queue[picked], noise, self.scale)
        distances = kth_distances(made, queue, k)
        rows = chosen(distances, self.picks, self.keep, self.select)
        if self.select == "farthest":
            rows = rows[distances[rows] > own[picked].repeat_interleave(self.keep)]
        return made[rows]
