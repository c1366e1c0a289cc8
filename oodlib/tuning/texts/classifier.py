"""A classifier of kept text features, whose features move while it learns, with what it was after every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn import functional as F

from oodlib.arrays import as_numpy, plain
from oodlib.errors import OodlibError
from oodlib.tuning._loop import epochs, train
from oodlib.tuning._map import starting_map
from oodlib.tuning.base import Session
from oodlib.tuning.texts._labels import numbered
from oodlib.tuning.texts.losses import checked, total


@dataclass(frozen=True, eq=False)
class Stage:
    """What the classifier was after some epochs.

    Parameters
    ----------
    down, up : Tensor
        (D, r) and (r, D): features z become z + gelu(z down) up.
    weight, bias : Tensor
        (C, D) and (C,): of the head, on these features.
    """

    down: Tensor
    up: Tensor
    weight: Tensor
    bias: Tensor

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Move features: (n, D) -> float32 (n, D)."""
        return _moved(torch.from_numpy(as_numpy(X)).float(), self.down, self.up).numpy()

    def logits(self, X: Any) -> NDArray[np.float32]:
        """Logits of features that have not been moved: (n, D) -> float32 (n, C)."""
        return F.linear(torch.from_numpy(self.transform(X)), self.weight, self.bias).numpy()


class TextClassifier(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""A linear head on features that a small map moves; both are trained together.

    .. math:: \mathcal{L} = \mathrm{CE}(W z' + b) + w\, \mathcal{L}_c(z'), \qquad z' = z + \mathrm{gelu}(z A) B

    The map stands for tuning the language model, which `TowerClassifier` does: it starts as the identity, and the
    contrastive term acts on what the head reads, as in the released code. It has a bend because `Mahalanobis` is blind
    to a linear map. The map in the place of the model, the learning rate and its fall along half a cosine are ours.

    Parameters
    ----------
    loss : {"ce_supcon", "margin", "ce"}
        The second term: `released_contrast`, `margin`, or none.
    epochs : int, default=10
    weight : float, default=2.0
        :math:`w`.
    temperature : float, default=0.3
        Of `released_contrast`.
    rank : int, default=64
        Columns of :math:`A`.
    lr : float, default=1e-3
        Of AdamW at its peak, with a weight decay of 0.01 on all but the bias.
    batch_size : int, default=64
        The released code has batches of 4, in which most rows have no other of their class.

    Attributes
    ----------
    classes_ : array, shape (C,)
    stages_ : list of Stage
        Before the first epoch, and after each. The head of the first is zero, and knows nothing.
    losses_ : tuple of float
        Of every step.

    References
    ----------
    Uppaal, Hu, Li, Is Fine-tuning Needed? Pre-trained Language Models Are Near Perfect for Out-of-Domain Detection, ACL
    2023 (Uppaal/lm-ood, commit 2b360ba).
    """

    classes_: NDArray[Any]
    stages_: list[Stage]
    losses_: tuple[float, ...]

    def __init__(
        self,
        loss: Literal["ce_supcon", "margin", "ce"] = "ce_supcon",
        *,
        epochs: int = 10,
        weight: float = 2.0,
        temperature: float = 0.3,
        rank: int = 64,
        lr: float = 1e-3,
        batch_size: int = 64,
    ):
        self.loss = loss
        self.epochs = epochs
        self.weight = weight
        self.temperature = temperature
        self.rank = rank
        self.lr = lr
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any, *, seed: int = 0) -> Self:
        """Train on features (N, D) and the class of each, numbers or strings.

        Raises
        ------
        OodlibError
            If the loss is unknown, features and classes do not fit, a label is no class, there is one class only, or
            the loss becomes infinite.
        """
        checked(self.loss)
        features = torch.from_numpy(np.ascontiguousarray(as_numpy(plain(X, "X")), dtype=np.float32))
        if features.ndim != 2:
            raise OodlibError(f"X has shape {tuple(features.shape)}: pass a row for each text")
        self.classes_, labels = numbered(y, len(features))
        session = Session(seed)
        down, up = starting_map(features.shape[1], self.rank, session.generator())
        weight = torch.zeros(len(self.classes_), features.shape[1], requires_grad=True)
        bias = torch.zeros(len(self.classes_), requires_grad=True)
        parameters = {"down": down, "up": up, "weight": weight, "bias": bias}
        optimizer = torch.optim.AdamW(
            [{"params": [down, up, weight], "weight_decay": 0.01}, {"params": [bias], "weight_decay": 0.0}], lr=self.lr
        )
        self.stages_ = []
        batches = epochs(len(features), self.batch_size, self.epochs, seed)
        starts = range(0, len(batches), -(-len(features) // self.batch_size))  # of the epochs
        steps = iter(range(len(batches)))

        def keep() -> None:
            self.stages_.append(Stage(*(one.detach().clone() for one in parameters.values())))

        def loss_of(rows: Tensor, _: torch.Generator) -> Tensor:
            if next(steps) in starts:
                keep()
            moved = _moved(features[rows], down, up)
            logits = F.linear(moved, weight, bias)
            return total(self.loss, moved, logits, labels[rows], self.weight, self.temperature)

        with torch.random.fork_rng(devices=[]):
            self.losses_ = train(parameters, optimizer, batches, loss_of, session)
        keep()
        return self


def _moved(features: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return features + F.gelu(features @ down) @ up
