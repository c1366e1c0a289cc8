"""Training against outliers: a head, and a small map under it, that learn what to say of things outside."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning._loop import epochs, train
from oodlib.tuning._map import mapped, starting_map
from oodlib.tuning._outlier_losses import logit_norm, to_uniform, uncertainty, weighted_energy
from oodlib.tuning.base import Session, Shots, Tuned, Tuner
from oodlib.tuning.sources import Known, Source, get_source

Loss = Literal["energy", "exposure", "logit_norm"]
Head = Literal["names", "random"]
WEIGHTS: dict[str, float] = {"energy": 0.1, "exposure": 0.5, "logit_norm": 0.5}
LINE_RATE = 0.1  # VOS's learning rate, here of its line alone: it starts flat, and a small one leaves it so


class MadeOutliers(Tuner):
    r"""Cross-entropy on the shots, and a second loss that tells them from outliers.

    The head is :math:`\kappa (W z + b)` on :math:`z = (f + B A f) / \lVert f + B A f \rVert`, with B zero at first
    (`oodlib.tuning._map`): a step sees kept features only, and yet the space may move.

    Parameters
    ----------
    source : str, Source or None, default=None
        Where outliers come from: a name that `oodlib.tuning.sources.list_sources` knows, or a source that is built.
        None trains with the first loss alone, what all others are to be compared with.
    loss : "energy", "exposure" or "logit_norm", default="exposure"
        "energy" is that of VOS: one line tells ID from outliers by their energy, with a learned weight for each class.
        "exposure" makes the classes of outliers equally likely. "logit_norm" does the same, and both terms read logits
        of one length, as NPOS trains its classifier. NPOS's own second term trains a network on frozen features beside
        the head, which then says nothing to the head: the exposure in its place is ours, and so is the temperature.
    weight : float, optional
        Of the second loss; None takes 0.1 for "energy", VOS's, and 0.5 for the others, TOE's.
    head : "names" or "random", default="names"
        What W starts from: text features of the names, or random rows of length 1.
    rank : int, default=16
        Of the map.
    epochs, batch_size : int, default=20, 128
        Passes over the shots, and pictures a step; so many outliers come beside them.
    lr : float, default=0.002
        Of Adam; it falls to 0 along half a cosine.
    per_class : int, default=6
        Outliers that are made for each class before training (`Source.bank`).

    Notes
    -----
    The line of "energy" is free to take *high* energies for outliers. Where outliers match better than pictures at
    first, it does, and then drives them further up: ``slope[0] > slope[1]`` in the state says so.

    References
    ----------
    Du et al., VOS, ICLR 2022; Hendrycks et al., Deep Anomaly Detection with Outlier Exposure, ICLR 2019; Wei et al.,
    Mitigating Neural Network Overconfidence with Logit Normalization, ICML 2022; Tao et al., Non-Parametric Outlier
    Synthesis, ICLR 2023.
    """

    def __init__(
        self,
        source: str | Source | None = None,
        loss: Loss = "exposure",
        weight: float | None = None,
        head: Head = "names",
        rank: int = 16,
        epochs: int = 20,
        batch_size: int = 128,
        lr: float = 2e-3,
        per_class: int = 6,
    ):
        self.source = source
        self.loss = loss
        self.weight = weight
        self.head = head
        self.rank = rank
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.per_class = per_class

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        if self.loss not in get_args(Loss) or self.head not in get_args(Head):
            raise OodlibError(
                f"{self!r}: loss is one of {', '.join(get_args(Loss))}, and head one of {', '.join(get_args(Head))}."
            )
        bank = bank_of(self.source, concepts, shots, self.per_class, session.seed)
        generator = session.generator()
        count, dims = concepts.text.shape
        down, up = starting_map(dims, self.rank, generator)
        start = concepts.text if self.head == "names" else F.normalize(torch.randn(count, dims, generator=generator))
        trained = {"down": down, "up": up, "weight": start.clone().requires_grad_()}
        trained["bias"] = torch.zeros(count).requires_grad_()
        groups: list[dict[str, Any]] = [{"params": list(trained.values())}]
        if self.loss == "energy":
            # The weights stay at the small rate: scores do not know them, and at a large one they tell outliers alone.
            trained["energy"] = torch.rand(count, generator=generator).requires_grad_()  # as theirs start
            groups[0]["params"].append(trained["energy"])
            # Theirs starts as torch.nn.Linear does, with a sign that a short training may not live to turn.
            line = {"slope": torch.zeros(2, 1).requires_grad_(), "offset": torch.zeros(2).requires_grad_()}
            trained |= line
            groups.append({"params": list(line.values()), "lr": LINE_RATE})

        def logits_of(features: Tensor) -> Tensor:
            moved = mapped(features, trained["down"], trained["up"])
            return concepts.logit_scale * F.linear(moved, trained["weight"], trained["bias"])

        def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
            inside = logits_of(shots.drawn(rows, generator))
            outside = None
            if bank is not None:
                outside = logits_of(bank[torch.randint(len(bank), (len(rows),), generator=generator)])
            return self._total(inside, shots.labels[rows], outside, trained)

        losses = train(
            trained,
            torch.optim.Adam(groups, self.lr),
            epochs(len(shots), self.batch_size, self.epochs, session.seed),
            loss_of,
            with_bank(session, bank),
        )
        learned = {name: tensor.detach() for name, tensor in trained.items()}

        def match(features: Tensor) -> Tensor:
            return F.linear(features, learned["weight"].to(features), learned["bias"].to(features))

        def transform(features: Tensor) -> Tensor:
            return mapped(features, learned["down"].to(features), learned["up"].to(features))

        return Tuned(replace(concepts, match=match), learned, losses, transform=transform)

    def _total(self, inside: Tensor, labels: Tensor, outside: Tensor | None, trained: dict[str, Tensor]) -> Tensor:
        """Both losses of a step, the second weighted; logits (n, C) of pictures and (m, C) of outliers."""
        if self.loss == "logit_norm":
            inside = logit_norm(inside)
            outside = None if outside is None else logit_norm(outside)
        first = F.cross_entropy(inside, labels)
        if outside is None:
            return first
        if self.loss == "energy":
            known, made = (weighted_energy(logits, trained["energy"]) for logits in (inside, outside))
            second = uncertainty(known, made, trained["slope"], trained["offset"])
        else:
            second = to_uniform(outside)
        return first + (WEIGHTS[self.loss] if self.weight is None else self.weight) * second


def bank_of(source: str | Source | None, concepts: Concepts, shots: Shots, n: int, seed: int) -> Tensor | None:
    """The outliers of a training, made from all views of its shots: (B, D), or None without a source."""
    if source is None:
        return None
    made_by = get_source(source) if isinstance(source, str) else source
    views = shots.features
    known = Known(views.flatten(end_dim=1), shots.labels.repeat(len(views)), concepts.outlier_text)
    return made_by.bank(known, n, seed)


def with_bank(session: Session, bank: Tensor | None) -> Session:
    """A session whose checkpoint belongs to these outliers, too: given ones are not told apart by their source."""
    if bank is None:
        return session
    return replace(session, recipe=f"{session.recipe} {hashlib.sha256(bank.numpy().tobytes()).hexdigest()}")
