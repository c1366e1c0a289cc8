"""What methods that tune the image tower share: training a copy of it with a head, and an encoder around the result."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.cache import digest_of_tensors
from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning._loop import epochs, train
from oodlib.tuning._stages import finish
from oodlib.tuning.base import Session, Shots, Tuned, Tuner


class TowerTuner(Tuner):
    """A method that trains weights of the image tower and a linear head.

    Attributes
    ----------
    epochs, batch_size : int
        Passes over the shots, and pictures a step.
    lr, weight_decay : float
        Of AdamW with gradients clipped to length 1; the learning rate falls to 0 along half a cosine.
    frozen : int
        How many first stages of the tower stay as they are; the shots must have gone through them.
    """

    needs = "pictures"
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    frozen: int

    def head(self, concepts: Concepts, shots: Shots) -> tuple[Tensor, Tensor]:
        """The head to start from, the zero-shot classifier: weight (C, D) and bias (C,)."""
        return concepts.logit_scale * concepts.text, torch.zeros(len(concepts.text))

    def train_tower(
        self,
        encoder: Encoder,
        visual: nn.Module,
        trained: Mapping[str, Tensor],
        concepts: Concepts,
        shots: Shots,
        session: Session,
    ) -> tuple[tuple[Tensor, Tensor], tuple[float, ...]]:
        """Minimise the cross-entropy of the shots' pictures over `trained` and the head.

        Parameters
        ----------
        encoder : Encoder
            Where it runs.
        visual : nn.Module
            A copy of the image tower, changed in place.
        trained : mapping of str to Tensor
            Its parameters to train.
        concepts, shots, session
            As methods take them.

        Returns
        -------
        tuple
            The head, and the losses.
        """
        if shots.frozen != self.frozen:
            raise OodlibError(
                f"{self!r} leaves {self.frozen} stages as they are, and the shots went through {shots.frozen}: "
                f"take the shots with frozen={self.frozen}."
            )
        weight, bias = (part.clone().to(encoder.device).requires_grad_() for part in self.head(concepts, shots))
        parameters = {**trained, "head.weight": weight, "head.bias": bias}

        def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
            pictures = shots.drawn(rows, generator, "pictures").to(encoder.device)
            features = F.normalize(finish(visual, self.frozen, pictures).float(), dim=-1)
            logits = F.linear(features, weight, bias)
            return F.cross_entropy(logits, shots.labels[rows].to(encoder.device))

        losses = train(
            parameters,
            torch.optim.AdamW(list(parameters.values()), self.lr, weight_decay=self.weight_decay),
            epochs(len(shots), self.batch_size, self.epochs, session.seed),
            loss_of,
            session,
            clip=1.0,
        )
        return (weight.detach(), bias.detach()), losses


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
    spec = {**encoder.spec, "tuned": digest_of_tensors(kept)}

    def match(features: Tensor) -> Tensor:
        return F.linear(features, weight.to(features), bias.to(features)) / concepts.logit_scale

    return Tuned(
        replace(concepts, match=match),
        kept | {"head.weight": weight, "head.bias": bias},
        losses,
        encoder=Encoder(model, encoder.preprocess, encoder.tokenizer, spec, capabilities=encoder.capabilities),
    )
