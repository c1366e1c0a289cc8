"""Weakly supervised detection of pairs (WOOD): a classifier on both features, and a hinge on how well they match."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.arrays import as_tensor
from oodlib.errors import OodlibError
from oodlib.tuning._loop import epochs, train
from oodlib.tuning.base import Session

Reading = Literal["both", "classifier", "match"]


class PairDetector:
    r"""Tell ID pairs of a picture and a text from OOD pairs, from many of the first and a few of the second.

    .. math::

        u = \frac{A v}{\|A v\|}, \quad w = \frac{B t}{\|B t\|}, \quad c = u^\top w, \quad
        p = \sigma(f([u; w; u \odot w]))

        L = \mathrm{BCE}(p) + \lambda \cdot \begin{cases} \max(m_+ - c, 0) & \text{ID} \\ \max(c - m_-, 0) & \text{OOD}
        \end{cases}

    The score is :math:`(p + (1 + c) / 2) / 2`, in [0, 1]: larger = more in-distribution.

    Parameters
    ----------
    weight : float, default=1.0
        :math:`\lambda`; 0 leaves the classifier alone, a large one the match.
    within, without : float, default=0.8, 0.2
        :math:`m_+`, the cosine that an ID pair shall reach, and :math:`m_-`, that which an OOD pair may have.
    width, hidden : int, default=128, 64
        Length of u and w, and of the layer between them and p.
    epochs : int, default=30
        Passes over the pairs.
    batch_size : int, default=128
    lr : float, default=0.002
        Of Adam; it falls to 0 along half a cosine.
    seed : int, default=0

    Attributes
    ----------
    state_ : dict of str to Tensor
        What was trained.
    losses_ : tuple of float
        The loss of each step.

    Notes
    -----
    The paper's are the parts: a binary classifier on fused latents, a hinge on the similarity, their weight, a bounded
    score of both, and a few labelled OOD pairs. Its margins, weight, sizes and fusion could not be read: those above
    are ours. So is that both kinds weigh alike in the loss, because few pairs are OOD; and that A and B start from one
    random map, so that a pair matches at first about as well as its features do.

    References
    ----------
    Duong et al., General-Purpose Multi-Modal OOD Detection Framework (WOOD), arXiv:2307.13069, TMLR 2024.
    """

    def __init__(
        self,
        weight: float = 1.0,
        within: float = 0.8,
        without: float = 0.2,
        width: int = 128,
        hidden: int = 64,
        epochs: int = 30,
        batch_size: int = 128,
        lr: float = 2e-3,
        seed: int = 0,
    ):
        self.weight = weight
        self.within = within
        self.without = without
        self.width = width
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.seed = seed

    def fit(self, pictures: Any, texts: Any, is_ood: Any) -> PairDetector:
        """Learn from labelled pairs.

        Parameters
        ----------
        pictures, texts : Tensor or array
            (n, D) features, row i of both is pair i.
        is_ood : array-like of bool
            (n,): whether each pair is out of distribution.

        Raises
        ------
        OodlibError
            If the three do not fit together, one kind of pair is missing, or the weight is below 0.
        """
        v, t = _pairs(pictures, texts)
        outside = torch.from_numpy(np.array(is_ood, dtype=bool))  # a copy: a column of a table cannot be written to
        if outside.shape != (len(v),):
            raise OodlibError(
                f"is_ood has the shape {tuple(outside.shape)} for {len(v)} pairs: say it of each pair once"
            )
        if not 0 < int(outside.sum()) < len(v):
            raise OodlibError("all pairs are of one kind: pass some that are in and some that are out of distribution")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise OodlibError(f"the weight of the match is {self.weight}: give 0 or more")
        parameters = self._start(v.shape[1], torch.Generator().manual_seed(self.seed))
        # so that few OOD pairs weigh as much as many ID ones
        share = torch.where(outside, 0.5 / outside.float().mean(), 0.5 / (~outside).float().mean())
        inside = (~outside).float()

        def loss_of(rows: Tensor, _: torch.Generator) -> Tensor:
            logit, cosine = _forward(parameters, v[rows], t[rows])
            hinge = torch.where(outside[rows], cosine - self.without, self.within - cosine).relu()
            entropy = F.binary_cross_entropy_with_logits(logit, inside[rows], reduction="none")
            return (share[rows] * (entropy + self.weight * hinge)).mean()

        optimizer = torch.optim.Adam(list(parameters.values()), self.lr)
        batches = epochs(len(v), self.batch_size, self.epochs, self.seed)
        with torch.random.fork_rng(devices=[]):  # the loop seeds torch's own generator
            self.losses_ = train(parameters, optimizer, batches, loss_of, Session(seed=self.seed))
        self.state_ = {name: tensor.detach() for name, tensor in parameters.items()}
        return self

    def score(self, pictures: Any, texts: Any, reading: Reading = "both") -> np.ndarray:
        """Score pairs, (n,), each in [0, 1]; larger = more in-distribution.

        Parameters
        ----------
        pictures, texts : Tensor or array
            (n, D) features, row i of both is pair i.
        reading : {"both", "classifier", "match"}
            The mean of both parts, p alone, or (1 + c) / 2 alone.

        Raises
        ------
        OodlibError
            If nothing was learned yet, the features do not fit, or there is no such reading.
        """
        if not hasattr(self, "state_"):
            raise OodlibError("this detector of pairs has learned nothing yet: call fit first")
        if reading not in get_args(Reading):
            raise OodlibError(f"there is no reading {reading!r}: choose one of {', '.join(get_args(Reading))}")
        v, t = _pairs(pictures, texts)
        if v.shape[1] != (asked := self.state_["picture"].shape[1]):
            raise OodlibError(f"features have {v.shape[1]} numbers, those of fit had {asked}: use the same encoder")
        with torch.inference_mode():
            logit, cosine = _forward(self.state_, v, t)
        p, match = logit.sigmoid(), ((1 + cosine) / 2).clamp(0, 1)
        score: np.ndarray = {"both": (p + match) / 2, "classifier": p, "match": match}[reading].numpy()
        return score

    def _start(self, size: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The first values: one map for both sides, small layers above."""

        def draw(rows: int, columns: int) -> Tensor:
            return torch.randn(rows, columns, generator=generator) / math.sqrt(columns)

        shared = draw(self.width, size)
        parameters = {
            "picture": shared,
            "text": shared.clone(),
            "hidden": draw(self.hidden, 3 * self.width),
            "hidden_bias": torch.zeros(self.hidden),
            "last": draw(1, self.hidden),
            "last_bias": torch.zeros(1),
        }
        return {name: tensor.requires_grad_() for name, tensor in parameters.items()}


def _forward(parameters: dict[str, Tensor], v: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The classifier's logit of "ID" and the cosine of each pair, (n,) both."""
    u = F.normalize(v @ parameters["picture"].T, dim=1)
    w = F.normalize(t @ parameters["text"].T, dim=1)
    product = u * w
    between = F.linear(torch.cat([u, w, product], dim=1), parameters["hidden"], parameters["hidden_bias"]).relu()
    return F.linear(between, parameters["last"], parameters["last_bias"])[:, 0], product.sum(dim=1)


def _pairs(pictures: Any, texts: Any) -> tuple[Tensor, Tensor]:
    v, t = (as_tensor(part).float() for part in (pictures, texts))
    if v.ndim != 2 or v.shape != t.shape:
        raise OodlibError(
            f"pictures have the shape {tuple(v.shape)} and texts {tuple(t.shape)}: pass one row of each for every "
            "pair, from one encoder"
        )
    if not (v.isfinite().all() and t.isfinite().all()):
        raise OodlibError("some features are not finite: encode the pictures and texts again")
    return v, t
