"""The recipe of PocketCLIP: `python -m oodlib.pocket.train` makes the shipped weights from package weights.

Symmetric contrastive training. Every picture must find its concept's caption among one caption of *every* concept (the
text tower is frozen, so captions are encoded once and the whole vocabulary costs one matrix product); every caption
must find its pictures in the batch. Step k draws everything from the seed and k, so a run resumed from a checkpoint
equals an uninterrupted one.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from oodlib.cache import write_atomically
from oodlib.checkpoint import load_checkpoint, save_checkpoint
from oodlib.errors import OodlibError
from oodlib.machine import PRECISIONS, autocast, training_precision, warning
from oodlib.pocket import assemble
from oodlib.pocket.augment import augment
from oodlib.pocket.data import Corpus, corpus
from oodlib.pocket.depthwise import speed_up_depthwise
from oodlib.pocket.recipe import Recipe
from oodlib.pocket.start import trained_part, untrained
from oodlib.pocket.towers import encode_captions, freeze, validate, whiten


def loss_of(images: Tensor, texts: Tensor, concept: Tensor, scale: Tensor, smooth: float = 0.0) -> Tensor:
    """Symmetric contrastive loss.

    Parameters
    ----------
    images : Tensor
        L2-normalised image features, (B, D).
    texts : Tensor
        L2-normalised text features, one caption of every concept, (C, D).
    concept : Tensor
        int64 (B,): the concept of each picture.
    scale : Tensor
        Factor on the cosine.
    smooth : float
        Share of each picture's target that is spread over all concepts.
    """
    logits = scale * images @ texts.T
    present, inverse = concept.unique(return_inverse=True)
    to_images = logits[:, present].T.log_softmax(-1)  # (P, B)
    shown = F.one_hot(inverse, len(present)).T.bool()
    of_texts = -to_images.masked_fill(~shown, -math.inf).logsumexp(-1).mean()
    return (F.cross_entropy(logits, concept, label_smoothing=smooth) + of_texts) / 2


def batches(data: Corpus, recipe: Recipe, start: int) -> Iterator[tuple[int, Tensor, torch.Generator]]:
    """(step, indices, generator) from step `start`; each pass visits every emoji once."""
    parts = [(data.training(icon=False), recipe.batch - recipe.icons), (data.training(icon=True), recipe.icons)]
    for step in range(start, recipe.steps):
        chosen = []
        for part, (indices, count) in enumerate(parts):
            if not count:
                continue
            if len(indices) < count:
                raise OodlibError(f"a batch wants {count} of {len(indices)} pictures: lower --batch or --icons")
            passes, place = divmod(step, len(indices) // count)
            order = torch.Generator().manual_seed(recipe.seed * 7919 + 2 * passes + part)
            chosen.append(indices[torch.randperm(len(indices), generator=order)[place * count : (place + 1) * count]])
        yield step, torch.cat(chosen), torch.Generator().manual_seed(recipe.seed * 104729 + step)


class Run:
    """A training run that can be saved after any step and taken up again.

    `precision` is that of the image tower's arithmetic. It is no part of the recipe: runs in either differ as runs on
    two processors do, by rounding that training amplifies.
    """

    def __init__(self, recipe: Recipe, data: Corpus, text_tower: Path, precision: str = "fp32"):
        torch.manual_seed(recipe.seed)
        self.recipe, self.data, self.precision = recipe, data, precision
        self.model = untrained(text_tower, recipe.drop, recipe.drop_path)
        self.pooled = encode_captions(self.model, data.captions, text_tower)
        self.average = {
            k: v.clone() for k, v in self.model.state_dict().items() if not k.startswith("text.transformer.")
        }
        self.model.visual.to(memory_format=torch.channels_last)
        speed_up_depthwise(self.model.visual)
        freeze(self.model)
        trunk = [p for p in self.model.visual.trunk.parameters() if p.requires_grad]
        head = list(self.model.visual.head.parameters())
        whiten(self.model.text.proj, self.pooled[:, 0])
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in trunk if p.ndim > 1],
                    "lr": recipe.lr_trunk,
                    "weight_decay": recipe.weight_decay,
                },
                {"params": [p for p in trunk if p.ndim == 1], "lr": recipe.lr_trunk, "weight_decay": 0.0},
                {"params": head, "lr": recipe.lr_head, "weight_decay": recipe.weight_decay},
                {
                    "params": [*self.model.text.proj.parameters()],
                    "lr": recipe.lr_text,
                    "weight_decay": recipe.weight_decay,
                },
                {"params": [self.model.logit_scale], "lr": recipe.lr_head, "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
        )
        self.rates = [group["lr"] for group in self.optimizer.param_groups]

    def step(self, step: int, indices: Tensor, generator: torch.Generator) -> float:
        """One update; returns the loss."""
        recipe, data, model = self.recipe, self.data, self.model
        torch.manual_seed(recipe.seed * 104729 + step)  # dropout draws from torch's own generator
        warm = min(1.0, (step + 1) / recipe.warmup)
        factor = warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        pictures = augment(data.pictures[indices], data.flip[indices], recipe.side, generator)
        drawn = torch.randint(0, self.pooled.shape[1], (len(self.pooled),), generator=generator)
        texts = F.normalize(model.text.proj(self.pooled[torch.arange(len(drawn)), drawn]), dim=-1)
        with autocast(self.precision):
            features = model.visual(pictures.contiguous(memory_format=torch.channels_last))
        images, scale = F.normalize(features.float(), dim=-1), model.logit_scale.exp()
        loss = loss_of(images, texts, data.concept[indices], scale, recipe.smooth)
        if not loss.isfinite():
            raise OodlibError(f"the loss is not finite at step {step}: lower --lr-trunk or --lr-head")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))
            decay = min(recipe.average, (step + 1) / (step + 10))
            state = model.state_dict()
            for name, mean in self.average.items():
                if mean.is_floating_point():
                    mean.lerp_(state[name], 1 - decay)
                else:
                    mean.copy_(state[name])
        return float(loss.detach())

    def save(self, path: Path, step: int) -> None:
        """Write model, average and optimizer after `step` steps."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items() if not k.startswith("text.transformer.")}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        save_checkpoint(path, tensors, self.optimizer, step, repr(self.recipe))

    def resume(self, path: Path) -> int:
        """Read a checkpoint and return the step to go on from; 0 if there is none."""
        step, tensors = load_checkpoint(path, self.optimizer, repr(self.recipe))
        if tensors:
            self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")}, strict=False)
            self.average = {k[8:]: v for k, v in tensors.items() if k.startswith("average.")}
        return step


def train(recipe: Recipe, folder: Path, checkpoint_interval: int = 50, precision: str | None = None) -> dict[str, Any]:
    """Run the recipe, saving a checkpoint every `checkpoint_interval` steps and the trained part at the end.

    Parameters
    ----------
    recipe : Recipe
    folder : Path
        Where `checkpoint.safetensors` and `weights.safetensors` go.
    checkpoint_interval : int
        Steps between checkpoints.
    precision : {"fp32", "bf16"}, optional
        Arithmetic of the image tower; by default bfloat16 where the processor computes in it, else float32.

    Returns
    -------
    dict
        `loss`: mean loss of each stretch of `checkpoint_interval` steps; `before` and `after`: what `validate` finds,
        after training with the averaged model; `chance`: the share of `pictures` that guessing finds.
    """
    console = Console(stderr=True)
    precision = precision or training_precision()
    if slow := warning(precision):
        console.print(f"note: {slow}")
    few = recipe.concepts or None
    data = corpus(recipe.seed, limit=few, n_validation=min(200, few or 200), leave_out=recipe.leave_out)
    console.print(
        f"{len(data.concept)} pictures of {len(data.captions)} concepts, {len(data.validation)} kept to watch by"
    )
    run = Run(recipe, data, assemble.text_tower_folder(), precision)
    checkpoint = folder / "checkpoint.safetensors"
    start = run.resume(checkpoint)
    history: dict[str, Any] = {"loss": [], "before": validate(run.model, data, run.pooled)}
    losses: list[float] = []
    freeze(run.model)
    steps = track(batches(data, recipe, start), "training", total=recipe.steps - start, console=console)
    for step, indices, generator in steps:
        losses.append(run.step(step, indices, generator))
        if (step + 1) % checkpoint_interval == 0 or step + 1 == recipe.steps:
            run.save(checkpoint, step + 1)
            history["loss"].append(sum(losses) / len(losses))
            scale = float(run.model.logit_scale.detach().exp())
            console.print(f"step {step + 1}: loss {history['loss'][-1]:.3f}, scale {scale:.1f}")
            losses.clear()
    run.model.load_state_dict(run.average, strict=False)
    history |= {"after": validate(run.model, data, run.pooled), "chance": 1 / len(data.captions)}
    console.print(f"validation: {history['after']}, chance {history['chance']:.4f}")
    about = {"recipe": json.dumps(asdict(recipe)), "precision": precision}
    write_atomically(folder / "weights.safetensors", lambda p: save_file(trained_part(run.average), p, about))
    return history


def main(arguments: list[str] | None = None) -> None:
    """Command line of the recipe."""
    parser = argparse.ArgumentParser(prog="python -m oodlib.pocket.train", description=__doc__.split("\n\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("_build/pocket-clip"), help="checkpoints and result")
    parser.add_argument("--ship", action="store_true", help="copy the result over the shipped weights")
    parser.add_argument(
        "--precision", choices=[name for name in PRECISIONS if name != "fp16"], help="default: bf16 where it is fast"
    )
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"default {value}")
    given = vars(parser.parse_args(arguments))
    folder, ship, precision = given.pop("folder"), given.pop("ship"), given.pop("precision")
    try:
        train(Recipe(**given), folder, precision=precision)
    except OodlibError as error:
        sys.exit(f"error: {error}")
    if ship:
        weights = (folder / "weights.safetensors").read_bytes()
        write_atomically(assemble.WEIGHTS, lambda path: path.write_bytes(weights))


if __name__ == "__main__":
    main()
