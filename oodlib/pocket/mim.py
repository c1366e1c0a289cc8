"""The recipe of three small towers: `python -m oodlib.pocket.mim` teaches them by masks, by names, and by both.

All see the same drawings, those of EmojiShift's pretraining hands, in the same order, equally many, placed and coloured
alike. *Masked* fills in hidden squares of a drawing (SimMIM: mask tokens in the tower, a linear layer, the absolute
difference of the hidden pixels); *named* tells the concept; the third does the first for half of its steps and then the
second, in MOOD's order. Step k draws everything from the seed and k, so a run resumed from a checkpoint equals an
uninterrupted one.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.cache import write_atomically
from oodlib.checkpoint import load_checkpoint, save_checkpoint
from oodlib.errors import OodlibError
from oodlib.pocket.augment import augment
from oodlib.pocket.patch_drawings import Drawings, drawings
from oodlib.pocket.patch_tower import NAMES, SIDE, WIDTH, PatchTower, hide, patches, weights_file


@dataclass(frozen=True)
class MimRecipe:
    """All that decides the weights, besides the packages.

    The first `masked` of the steps fill in, the others name; each part warms up and cools down by itself. `squares` of
    a picture's 9 are hidden. `smooth` is the share of every target that is spread over all names, as MOOD fine-tunes.
    `concepts` limits the drawings, for a miniature; 0 takes all.
    """

    masked: float = 1.0
    steps: int = 800
    batch: int = 64
    squares: int = 4
    seed: int = 0
    warmup: int = 50
    lr: float = 1e-3
    weight_decay: float = 0.05
    smooth: float = 0.1
    concepts: int = 0

    @property
    def filling(self) -> int:
        """How many steps fill in."""
        return round(self.masked * self.steps)

    def rate(self, step: int) -> float:
        """The learning rate of a step: a ramp and a half cosine in each part."""
        start, stop = (0, self.filling) if step < self.filling else (self.filling, self.steps)
        warm = min(1.0, (step - start + 1) / self.warmup)
        return self.lr * warm * 0.5 * (1 + math.cos(math.pi * (step - start) / (stop - start)))


SHARES = dict(zip(NAMES, (1.0, 0.0, 0.5), strict=True))


def batches(data: Drawings, recipe: MimRecipe, start: int) -> Iterator[tuple[int, Tensor, torch.Generator]]:
    """(step, indices, generator) from step `start`; each pass visits every drawing at most once."""
    taught = data.taught
    if len(taught) < recipe.batch:
        raise OodlibError(f"a batch wants {recipe.batch} of {len(taught)} drawings: lower --batch")
    each = len(taught) // recipe.batch
    for step in range(start, recipe.steps):
        passes, place = divmod(step, each)
        order = torch.randperm(len(taught), generator=torch.Generator().manual_seed(recipe.seed * 7919 + passes))
        rows = taught[order[place * recipe.batch : (place + 1) * recipe.batch]]
        yield step, rows, torch.Generator().manual_seed(recipe.seed * 104729 + step)


class Run:
    """A training run that can be saved after any step and taken up again."""

    def __init__(self, recipe: MimRecipe, data: Drawings):
        torch.manual_seed(recipe.seed)
        self.recipe, self.data = recipe, data
        self.model = nn.ModuleDict({"tower": PatchTower(), "head": nn.Linear(WIDTH, data.n_concepts)})
        every = list(self.model.parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in every if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in every if p.ndim == 1], "weight_decay": 0.0},
            ],
            lr=recipe.lr,
            betas=(0.9, 0.98),
        )

    def loss(self, pictures: Tensor, concept: Tensor, filling: bool, generator: torch.Generator) -> Tensor:
        """Mean absolute difference of the hidden pixels, or the cross entropy of the names."""
        tower = self.model["tower"]
        if filling:
            hidden = hide(len(pictures), self.recipe.squares, generator)
            differences: Tensor = (tower.restored(pictures, hidden) - patches(pictures)).abs()
            return differences[hidden].mean()
        return F.cross_entropy(self.model["head"](tower(pictures)), concept, label_smoothing=self.recipe.smooth)

    def step(self, step: int, rows: Tensor, generator: torch.Generator) -> float:
        """One update; returns the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(step)
        pictures = augment(self.data.pictures[rows, None], self.data.flip[rows], SIDE, generator)
        loss = self.loss(pictures, self.data.concept[rows], step < self.recipe.filling, generator)
        if not loss.isfinite():
            raise OodlibError(f"the loss is not finite at step {step}: lower --lr")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return float(loss.detach())

    def watch(self) -> dict[str, float]:
        """On the drawings that are not taught: the difference of hidden pixels, and the share that is named right."""
        rows = self.data.watched
        shown = F.interpolate(self.data.pictures[rows].float() / 127.5 - 1, SIDE, mode="area")
        with torch.inference_mode():
            filled = self.loss(shown, self.data.concept[rows], True, torch.Generator().manual_seed(0))
            named = self.model["head"](self.model["tower"](shown)).argmax(1) == self.data.concept[rows]
        return {"pixels": float(filled), "named": float(named.float().mean())}

    def save(self, path: Path, step: int) -> None:
        """Write model and optimizer after `step` steps."""
        save_checkpoint(path, self.model.state_dict(), self.optimizer, step, repr(self.recipe))

    def resume(self, path: Path) -> int:
        """Read a checkpoint and return the step to go on from; 0 if there is none."""
        step, tensors = load_checkpoint(path, self.optimizer, repr(self.recipe))
        if tensors:
            self.model.load_state_dict(tensors)
        return step


def train(recipe: MimRecipe, folder: Path, checkpoint_interval: int = 50) -> dict[str, Any]:
    """Run the recipe, saving a checkpoint every `checkpoint_interval` steps and the tower at the end.

    Parameters
    ----------
    recipe : MimRecipe
    folder : Path
        Where `checkpoint.safetensors`, `log.json` and `weights.safetensors` go.
    checkpoint_interval : int
        Steps between checkpoints.

    Returns
    -------
    dict
        `loss`: mean loss of each stretch of steps; `watched`: what `Run.watch` finds after the last step; `pictures`:
        how many were seen; `seconds`: of all steps, on one core.
    """
    console = Console(stderr=True)
    data = drawings(recipe.concepts or None)
    run = Run(recipe, data)
    checkpoint, notes = folder / "checkpoint.safetensors", folder / "log.json"
    start = run.resume(checkpoint)
    log: dict[str, Any] = json.loads(notes.read_text()) if start else {"loss": [], "seconds": 0.0}
    del log["loss"][start // checkpoint_interval :]  # a kill may have come between the log and the checkpoint
    losses: list[float] = []
    since = time.process_time()
    for step, rows, generator in batches(data, recipe, start):
        losses.append(run.step(step, rows, generator))
        if (step + 1) % checkpoint_interval == 0 or step + 1 == recipe.steps:
            log["loss"].append(round(sum(losses) / len(losses), 4))
            log["seconds"], since = round(log["seconds"] + time.process_time() - since, 1), time.process_time()
            write_atomically(notes, lambda path: path.write_text(json.dumps(log)))
            run.save(checkpoint, step + 1)
            console.print(f"step {step + 1}: loss {log['loss'][-1]:.3f}, {log['seconds']:.0f} s")
            losses.clear()
    log |= {"watched": run.watch(), "pictures": recipe.steps * recipe.batch}
    about = {"recipe": json.dumps(asdict(recipe)), "log": json.dumps(log)}
    state = {name: tensor.half().contiguous() for name, tensor in run.model["tower"].vit.state_dict().items()}
    write_atomically(folder / "weights.safetensors", lambda path: save_file(state, path, about))
    return log


def main(arguments: list[str] | None = None) -> None:
    """Command line of the recipe."""
    parser = argparse.ArgumentParser(prog="python -m oodlib.pocket.mim", description=__doc__.split("\n\n")[0])
    parser.add_argument("--tower", choices=NAMES, action="append", help="which of them; by default all, in turn")
    parser.add_argument("--folder", type=Path, default=Path("_build/pocket-mim"), help="checkpoints and results")
    parser.add_argument("--ship", action="store_true", help="copy the results over the shipped weights")
    for name, value in asdict(MimRecipe()).items():
        if name != "masked":
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default {value}")
    given = vars(parser.parse_args(arguments))
    towers, folder, ship = given.pop("tower") or NAMES, given.pop("folder"), given.pop("ship")
    try:
        for name in towers:
            train(replace(MimRecipe(**given), masked=SHARES[name]), folder / name)
            if ship:
                copy_to = partial(shutil.copyfile, folder / name / "weights.safetensors")
                write_atomically(weights_file(name), copy_to)
    except OodlibError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
