"""Pseudo-OOD regularisation: a trained model goes on training, and keeps made-up texts away from its classes."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.feature_detectors.mahalanobis import Mahalanobis
from oodlib.tuning._loop import epochs, train
from oodlib.tuning._map import mapped, starting_map
from oodlib.tuning._outlier_losses import closer_than
from oodlib.tuning.base import Session, Shots, Tuned, Tuner
from oodlib.tuning.linear_probe import LinearProbe
from oodlib.tuning.made_outliers import bank_of, with_bank
from oodlib.tuning.sources import Source


class PseudoOOD(Tuner):
    r"""Cross-entropy, and a hinge on how near pseudo-OOD features are to the classes of the starting model.

    .. math:: L = \mathrm{CE} + \frac{\gamma}{|O|} \sum_o \max(m - d_M(z_o), 0)

    The starting model is a `LinearProbe` on the shots. Training goes on from it, with a small map under the head
    (`oodlib.tuning._map`) that leaves features as they are at first. :math:`d_M` is the Mahalanobis distance (a length,
    not its square) to the nearest class by the means and the covariance of the *starting* features, which stay as they
    are; m is a quantile of ID distances. Detectors on features are fitted anew to ``transform(shots)``.

    Parameters
    ----------
    source : str, Source or None, default=None
        As `MadeOutliers` takes it; outliers made from texts come as ``Given(bank)``. None trains with cross-entropy
        alone, for as long: what the second term is to be compared with.
    gamma : float, default=0.1
        :math:`\gamma`, of the second term.
    quantile : float, default=0.99
        Of the distances of `held`, which is m.
    held : Tensor, optional
        (n, D): features of ID texts that are no shots. By default m comes from the shots' own distances. Since means
        and covariance are fitted to these, new texts of the same classes lie farther out, the more so the fewer shots
        there are; m may then be so small that every outlier is beyond it, and the second term never acts.
    rank : int, default=16
        Of the map.
    epochs, batch_size : int, default=10, 128
        Passes over the shots, and rows a step; so many outliers come beside them. With no passes this is the starting
        model.
    lr : float, default=0.0001
        Of Adam; it falls to 0 along half a cosine.
    per_class : int, default=200
        Outliers for each class that has shots, at most.

    Notes
    -----
    What the paper says and could be read: it starts from a trained model, makes pseudo-OOD from in-distribution data
    alone, and goes on training with a term that separates the embeddings of the two. How it makes them, the term, its
    weight and its data could not be read: the term above and all its numbers are ours.

    References
    ----------
    Sundararaman, Mehta and Carin, arXiv:2210.09132.
    """

    def __init__(
        self,
        source: str | Source | None = None,
        gamma: float = 0.1,
        quantile: float = 0.99,
        held: Tensor | None = None,
        rank: int = 16,
        epochs: int = 10,
        batch_size: int = 128,
        lr: float = 1e-4,
        per_class: int = 200,
    ):
        self.source = source
        self.gamma = gamma
        self.quantile = quantile
        self.held = held
        self.rank = rank
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.per_class = per_class

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        if not (self.gamma >= 0 and 0 < self.quantile <= 1):
            raise OodlibError(f"{self!r}: gamma is at least 0, and quantile above 0 and at most 1.")
        bank = bank_of(self.source, concepts, shots, self.per_class, session.seed)
        start = LinearProbe().learn(encoder, concepts, shots, session)
        near = Nearness(shots, self.quantile, self.held)
        down, up = starting_map(concepts.text.shape[1], self.rank, session.generator())
        trained = {"down": down, "up": up}
        trained |= {name: start.state[name].clone().requires_grad_() for name in ("weight", "bias")}

        def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
            inside = mapped(shots.drawn(rows, generator), down, up)
            first = F.cross_entropy(F.linear(inside, trained["weight"], trained["bias"]), shots.labels[rows])
            if bank is None:
                return first
            outside = mapped(bank[torch.randint(len(bank), (len(rows),), generator=generator)], down, up)
            return first + self.gamma * closer_than(near.distances(outside), near.margin)

        losses = train(
            trained,
            torch.optim.Adam(list(trained.values()), self.lr),
            epochs(len(shots), self.batch_size, self.epochs, session.seed),
            loss_of,
            with_bank(with_bank(session, bank), self.held),
        )
        learned = {name: tensor.detach() for name, tensor in trained.items()}

        def match(features: Tensor) -> Tensor:
            logits = F.linear(features, learned["weight"].to(features), learned["bias"].to(features))
            return logits / concepts.logit_scale

        def transform(features: Tensor) -> Tensor:
            return mapped(features, learned["down"].to(features), learned["up"].to(features))

        return Tuned(replace(concepts, match=match), learned, losses, transform=transform)


class Nearness:
    """How near features are to the classes of some shots, and how near ID features are.

    Parameters
    ----------
    shots : Shots
        All views of them count.
    quantile : float
        Of ID distances, which is the margin.
    held : Tensor, optional
        (n, D): the ID features whose distances count; by default the shots' own.

    Attributes
    ----------
    margin : float

    Raises
    ------
    OodlibError
        If there is no row in `held`, or its columns are not those of the shots.
    """

    def __init__(self, shots: Shots, quantile: float, held: Tensor | None = None):
        views = shots.features.flatten(end_dim=1)
        if held is not None and (held.ndim != 2 or not len(held) or held.shape[1] != views.shape[1]):
            raise OodlibError(
                f"held ID features have the shape {tuple(held.shape)}: pass (n, {views.shape[1]}), as the shots have"
            )
        fitted = Mahalanobis().fit(views, shots.labels.repeat(len(shots.features)))
        self.whitening = torch.from_numpy(fitted.whitening_).to(views)
        self.means = torch.from_numpy(fitted.means_).to(views) @ self.whitening
        self.margin = float(self.distances(views if held is None else held.to(views)).quantile(quantile))

    def distances(self, features: Tensor) -> Tensor:
        """The Mahalanobis distance to the nearest class, with its gradient: (n, D) -> (n,)."""
        return torch.cdist(features @ self.whitening, self.means).amin(dim=1)
