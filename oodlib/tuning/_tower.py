"""What methods that tune the image tower share: training a copy of it with a head, and an encoder around the result."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoder import Encoder
from oodlib.tuning._loop import epochs, train
from oodlib.tuning.base import Session, Shots, Tuned


def tune_tower(
    encoder: Encoder,
    model: nn.Module,
    trained: Mapping[str, Tensor],
    head: tuple[Tensor, Tensor],
    concepts: Concepts,
    shots: Shots,
    session: Session,
    *,
    batch: int,
    count: int,
    rate: float,
    weight_decay: float,
    recipe: str,
) -> tuple[tuple[Tensor, Tensor], tuple[float, ...]]:
    """Minimise the cross-entropy of the shots' pictures over `trained` and the head, with AdamW and clipped gradients.

    Parameters
    ----------
    encoder : Encoder
        Where it runs.
    model : nn.Module
        A copy of the model, changed in place.
    trained : mapping of str to Tensor
        Its parameters to train.
    head : tuple of Tensor
        Weight (C, D) and bias (C,) to start from; a bias of no elements stays away.
    concepts, shots, session
        As methods take them.
    batch, count, rate, weight_decay
        Pictures a step, passes over the shots, and AdamW's settings.
    recipe : str
        All that decides the run.

    Returns
    -------
    tuple
        The head, and the losses.
    """
    weight, bias = (part.clone().to(encoder.device).requires_grad_() for part in head)
    parameters = {**trained, "head.weight": weight, "head.bias": bias}
    optimizer = torch.optim.AdamW(list(parameters.values()), rate, weight_decay=weight_decay)

    def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
        pictures = shots.drawn(rows, generator, "pictures").to(encoder.device)
        logits = F.linear(features_of(model, pictures), weight, bias)
        return F.cross_entropy(logits, shots.labels[rows].to(encoder.device))

    losses = train(
        parameters,
        optimizer,
        epochs(len(shots), batch, count, session.seed),
        loss_of,
        seed=session.seed,
        recipe=f"{recipe} {session.seed} {encoder.digest} {concepts.names}",
        checkpoint=session.checkpoint,
        progress=session.progress,
        clip=1.0,
    )
    return (weight.detach(), bias.detach()), losses


def features_of(model: nn.Module, pictures: Tensor) -> Tensor:
    """Image features of prepared pictures, differentiable: (n, D), L2-normalised."""
    made = model.encode_image(pictures.contiguous(memory_format=torch.channels_last))  # type: ignore[operator]
    return F.normalize(made.float(), dim=-1)


def copy_of(encoder: Encoder) -> nn.Module:
    """A copy of the model whose image tower may be changed."""
    model: nn.Module = copy.deepcopy(encoder.model)
    return model


def finished(
    encoder: Encoder,
    model: nn.Module,
    state: Mapping[str, Tensor],
    head: tuple[Tensor, Tensor],
    concepts: Concepts,
    losses: tuple[float, ...],
) -> Tuned:
    """What is tuned: an encoder whose specification names the new weights, and concepts that match by the head."""
    weight, bias = (part.cpu() for part in head)
    kept = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
    digest = hashlib.sha256()
    for name in sorted(kept):
        digest.update(name.encode() + kept[name].contiguous().numpy().tobytes())
    spec = {**encoder.spec, "tuned": digest.hexdigest()}

    def match(features: Tensor) -> Tensor:
        return F.linear(features, weight.to(features), bias.to(features)) / concepts.logit_scale

    return Tuned(
        replace(concepts, match=match),
        kept | {"head.weight": weight, "head.bias": bias},
        losses,
        encoder=Encoder(model, encoder.preprocess, encoder.tokenizer, spec),
    )
