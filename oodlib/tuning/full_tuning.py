"""Full fine-tuning: all weights of the image tower, or of its later stages, and a head that starts from the names."""

from __future__ import annotations

from typing import Any

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.tuning._stages import trained_part
from oodlib.tuning._tower import TowerTuner, copy_of, finished
from oodlib.tuning.base import Session, Shots, Tuned


class FullTuning(TowerTuner):
    r"""Train the whole image tower and a linear head with the cross-entropy of the shots.

    The head starts from the class names, :math:`W = \kappa T` and :math:`b = 0`, so the first step sees the zero-shot
    classifier. Concepts match by :math:`(W f + b) / \kappa`. Pictures must be embedded again, with `Tuned.encoder`.

    Parameters
    ----------
    epochs : int, default=10
    batch_size : int, default=32
    lr : float, default=0.00003
        Of AdamW with gradients clipped to length 1; it falls to 0 along half a cosine. Rate and clipping are those of
        the authors' example for ViT-B-32; their 500 warm-up steps, longer than a few-shot run, are left out.
    weight_decay : float, default=0.1
    frozen : int, default=0
        How many first stages of the tower stay as they are, for towers that have stages (EfficientNets). Their maps are
        computed once, with the shots: `take_shots` needs the same number.

    References
    ----------
    Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, and the authors' code (mlfoundations/wise-ft).
    """

    def __init__(
        self, epochs: int = 10, batch_size: int = 32, lr: float = 3e-5, weight_decay: float = 0.1, frozen: int = 0
    ):
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.frozen = frozen

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        model: Any = copy_of(encoder)
        model.requires_grad_(False)
        tower = trained_part(model.visual, self.frozen)
        for parameter in tower.values():
            parameter.requires_grad_(True)
        head, losses = self.train_tower(encoder, model.visual, tower, concepts, shots, session)
        return finished(encoder, model, tower, head, concepts, losses)
