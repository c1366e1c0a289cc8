"""LP-FT: a linear probe first, then full fine-tuning from there."""

from __future__ import annotations

from torch import Tensor

from oodlib.concepts import Concepts
from oodlib.tuning.base import Shots
from oodlib.tuning.full_tuning import FullTuning
from oodlib.tuning.linear_probe import LinearProbe


class LPFT(FullTuning):
    """Full fine-tuning whose head starts from a linear probe, so that the tower need not bend to a head that is wrong.

    Parameters
    ----------
    epochs, batch_size, lr, weight_decay, frozen
        Those of `FullTuning`.
    C : float, default=1.0
        That of `LinearProbe`.

    References
    ----------
    Kumar et al., Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, ICLR 2022.
    """

    def __init__(
        self,
        epochs: int = 10,
        batch_size: int = 32,
        lr: float = 3e-5,
        weight_decay: float = 0.1,
        C: float = 1.0,
        frozen: int = 0,
    ):
        super().__init__(epochs, batch_size, lr, weight_decay, frozen)
        self.C = C

    def head(self, concepts: Concepts, shots: Shots) -> tuple[Tensor, Tensor]:
        return LinearProbe(self.C).solve(concepts, shots)
