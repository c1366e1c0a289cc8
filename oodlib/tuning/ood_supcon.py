"""OOD-aware supervised contrastive learning: classes gather around prototypes, and outliers stay away from both."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning._loop import epochs, train
from oodlib.tuning._map import mapped, starting_map
from oodlib.tuning._outlier_losses import away_from_prototypes, contrastive
from oodlib.tuning.base import Session, Shots, Tuned, Tuner
from oodlib.tuning.made_outliers import bank_of, with_bank
from oodlib.tuning.sources import Source


class OODSupCon(Tuner):
    r"""Supervised contrast with prototypes (stage one), then the same with outliers (stage two, short).

    .. math:: L = L_{con} + a \Bigl( \mathrm{CE}(z_i^\top \mu / \tau,\, y_i)
        + \frac{1}{|O| C} \sum_o \sum_c \max(z_o^\top \mu_c - m, 0) \Bigr)

    The first term is `oodlib.tuning._outlier_losses.contrastive`. Features z are those of a small map
    (`oodlib.tuning._map`), prototypes :math:`\mu` start from the names. Concepts match by the cosine with these.

    Parameters
    ----------
    source : str, Source or None, default=None
        As `MadeOutliers` takes it; None makes the second stage without outliers. Feature mixing is
        ``NPMix(nearest=None)``.
    temperature : float, default=0.1
    prototypes : float, default=1.0
        a, the weight of the second term.
    margin : float, default=0.0
        m, the cosine with a prototype that an outlier may have.
    rank : int, default=16
    epochs, later_epochs : int, default=20, 5
        Passes over the shots in the two stages.
    batch_size : int, default=128
    lr : float, default=0.002
        Of Adam; it falls to 0 along half a cosine in each stage. The second begins at a tenth of it.
    per_class : int, default=6
        Outliers that are made for each class.

    Notes
    -----
    What the paper says and could be read: the two terms (outliers pushed from ID features, without a constraint among
    themselves; outliers pushed from the prototypes, to which ID features go), the two stages, real or mixed features as
    outliers. Its formulas could not be read: those above are our reading.

    References
    ----------
    Seifi et al., OOD Aware Supervised Contrastive Learning, arXiv:2310.01942.
    """

    def __init__(
        self,
        source: str | Source | None = None,
        temperature: float = 0.1,
        prototypes: float = 1.0,
        margin: float = 0.0,
        rank: int = 16,
        epochs: int = 20,
        later_epochs: int = 5,
        batch_size: int = 128,
        lr: float = 2e-3,
        per_class: int = 6,
    ):
        self.source = source
        self.temperature = temperature
        self.prototypes = prototypes
        self.margin = margin
        self.rank = rank
        self.epochs = epochs
        self.later_epochs = later_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.per_class = per_class

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        if not self.temperature > 0:
            raise OodlibError(f"{self!r}: the temperature divides cosines, so it must be above 0.")
        bank = bank_of(self.source, concepts, shots, self.per_class, session.seed)
        down, up = starting_map(concepts.text.shape[1], self.rank, session.generator())
        trained = {"down": down, "up": up, "prototypes": concepts.text.clone().requires_grad_()}

        def stage(passes: int, lr: float, outliers: Tensor | None, session: Session) -> tuple[float, ...]:
            def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
                inside = mapped(shots.drawn(rows, generator), down, up)
                outside = None
                if outliers is not None:
                    drawn = torch.randint(len(outliers), (len(rows),), generator=generator)
                    outside = mapped(outliers[drawn], down, up)
                return self._total(inside, shots.labels[rows], outside, trained["prototypes"])

            optimizer = torch.optim.Adam(list(trained.values()), lr)
            batches = epochs(len(shots), self.batch_size, passes, session.seed)
            return train(trained, optimizer, batches, loss_of, with_bank(session, outliers))

        losses = stage(self.epochs, self.lr, None, _first_stage(session))
        losses += stage(self.later_epochs, self.lr / 10, bank, session)
        learned = {name: tensor.detach() for name, tensor in trained.items()}
        centres = F.normalize(learned["prototypes"], dim=1)

        def transform(features: Tensor) -> Tensor:
            return mapped(features, learned["down"].to(features), learned["up"].to(features))

        return Tuned(replace(concepts, text=centres), learned, losses, transform=transform)

    def _total(self, inside: Tensor, labels: Tensor, outside: Tensor | None, prototypes: Tensor) -> Tensor:
        """Both terms of a step."""
        centres = F.normalize(prototypes, dim=1)
        second = F.cross_entropy(inside @ centres.T / self.temperature, labels)
        if outside is not None:
            second = second + away_from_prototypes(outside, centres, self.margin)
        return contrastive(inside, labels, self.temperature, outside) + self.prototypes * second


def _first_stage(session: Session) -> Session:
    """A checkpoint of its own: a run that stops in stage two makes stage one again and goes on in stage two."""
    if session.checkpoint is None:
        return session
    path = session.checkpoint
    return replace(session, checkpoint=path.with_name(f"{path.name}.stage-one"), recipe=f"{session.recipe} stage one")
