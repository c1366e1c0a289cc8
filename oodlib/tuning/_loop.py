"""The loop that every method with gradients runs: seeded, resumable, and stopped by a loss that is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from oodlib.checkpoint import load_checkpoint, save_checkpoint
from oodlib.errors import OodlibError
from oodlib.tuning.base import Session

CHECKPOINT_INTERVAL = 25  # steps between checkpoints


def epochs(n: int, batch_size: int, count: int, seed: int) -> list[Tensor]:
    """Rows of each step: `count` passes over n pictures, each in an order of its own.

    >>> [rows.tolist() for rows in epochs(3, 2, 1, seed=0)]
    [[2, 0], [1]]
    """
    generator = torch.Generator().manual_seed(seed)
    return [rows for _ in range(count) for rows in torch.randperm(n, generator=generator).split(batch_size)]


def cosine(step: int, steps: int) -> float:
    """Half a cosine from 1 to 0: the share of the learning rate at a step."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def linear(step: int, steps: int) -> float:
    """A straight line from 1 to 0: the share of the learning rate at a step."""
    return 1 - step / steps


def train(
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Tensor],
    loss_of: Callable[[Tensor, torch.Generator], Tensor],
    session: Session,
    *,
    clip: float | None = None,
    decay: Callable[[int, int], float] = cosine,
    interval: int | None = None,
) -> tuple[float, ...]:
    """Train `parameters` in place and return the loss of every step.

    Step k draws everything from the seed and k, so a run resumed from a checkpoint equals an uninterrupted one.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        What `optimizer` changes, and what else a run that goes on has to find again.
    optimizer : torch.optim.Optimizer
        With the learning rates at their peak.
    batches : sequence of Tensor
        Rows of the shots, one tensor a step.
    loss_of : callable
        From rows and a generator to the loss.
    session : Session
        Its checkpoint is deleted when the run is complete.
    clip : float, optional
        Largest length of the gradient of all parameters together.
    decay : callable
        From a step and the number of steps to the share of the learning rate: half a cosine by default, or `linear`.
    interval : int, optional
        Steps between checkpoints, `CHECKPOINT_INTERVAL` by default; more for models whose state takes long to write.

    Raises
    ------
    OodlibError
        If a loss is not finite, or the checkpoint is damaged or of another recipe.
    """
    start, losses = _resume(parameters, optimizer, session)
    checkpoint = session.checkpoint
    peaks = [group["lr"] for group in optimizer.param_groups]
    steps = range(start, len(batches))
    for step in track(steps, "tuning", console=Console(stderr=True), disable=not session.progress, transient=True):
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * decay(step, len(batches))
        generator = torch.Generator().manual_seed(session.seed * 104729 + step)
        _seed(session.seed * 104729 + step)  # dropout draws from torch's own generators
        loss = loss_of(batches[step], generator)
        if not loss.isfinite():
            raise OodlibError(f"the loss is not finite at step {step}: lower the learning rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(list(parameters.values()), clip)
        optimizer.step()
        losses.append(float(loss.detach()))
        if checkpoint is not None and (step + 1) % (interval or CHECKPOINT_INTERVAL) == 0:
            tensors = {f"trained.{name}": tensor.detach() for name, tensor in parameters.items()}
            tensors["losses"] = torch.tensor(losses, dtype=torch.float64)
            save_checkpoint(checkpoint, tensors, optimizer, step + 1, session.recipe)
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return tuple(losses)


def _seed(seed: int) -> None:
    """What `torch.manual_seed` does, which takes a millisecond to note where it was called from."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def _resume(
    parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, session: Session
) -> tuple[int, list[float]]:
    """Put back what a checkpoint holds; returns the step to begin with and the losses of those before it."""
    if session.checkpoint is None:
        return 0, []
    start, kept = load_checkpoint(session.checkpoint, optimizer, session.recipe)
    if not start:
        return 0, []
    with torch.no_grad():
        for name, tensor in parameters.items():
            tensor.copy_(kept[f"trained.{name}"])
    return start, kept["losses"].tolist()
