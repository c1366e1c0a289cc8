"""LoRA: a low-rank change of the image tower's matrices."""

from __future__ import annotations

from peft import LoraConfig, get_peft_model
from torch import nn

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning._stages import trained_part
from oodlib.tuning._tower import TowerTuner, copy_of, finished
from oodlib.tuning.base import Session, Shots, Tuned


def matrices(tower: nn.Module) -> list[str]:
    """Names of the modules of a tower that LoRA can change: linear layers, 1 x 1 convolutions and attention.

    Attention goes as a whole: its output layer is part of it.
    """
    found: list[str] = []
    for name, module in tower.named_modules():
        inside = any(name.startswith(f"{other}.") for other in found)
        plain = isinstance(module, nn.Linear | nn.MultiheadAttention)
        point = isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1
        if name and not inside and (plain or point):
            found.append(name)
    return found


class LoRA(TowerTuner):
    r"""Add a trained product of two thin matrices to each matrix of the image tower, and train a linear head.

    :math:`W' = W + \frac{\alpha}{r} B A` with :math:`B = 0` at the start. Afterwards the products are added to the
    weights, so the tuned tower costs what the old one did. The head starts from the class names, as in `FullTuning`.

    Parameters
    ----------
    rank : int, default=2
    alpha : int, default=1
    dropout : float, default=0.25
        Of the input of A.
    epochs : int, default=10
    batch_size : int, default=32
    lr : float, default=0.0002
        Of AdamW; it falls to 0 along half a cosine.
    weight_decay : float, default=0.01
    frozen : int, default=0
        How many first stages of the tower stay as they are, as in `FullTuning`.

    Notes
    -----
    Rank, alpha, dropout, lr and weight decay are those of CLIP-LoRA, which changes queries, keys and values of both
    towers; here it is the image tower alone, every matrix that the `peft` library can change. The library adds its
    product to the weights of attention and takes it away again in every step, which rounds them: there, a resumed run
    agrees with an uninterrupted one to rounding, elsewhere exactly.

    References
    ----------
    Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022; Zanella and Ben Ayed, Low-Rank Few-Shot
    Adaptation of Vision-Language Models, CVPR Workshops 2024 (CLIP-LoRA).
    """

    def __init__(
        self,
        rank: int = 2,
        alpha: int = 1,
        dropout: float = 0.25,
        epochs: int = 10,
        batch_size: int = 32,
        lr: float = 2e-4,
        weight_decay: float = 0.01,
        frozen: int = 0,
    ):
        self.rank = rank
        self.alpha = alpha
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.frozen = frozen

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        if self.rank < 1:
            raise OodlibError(f"{self!r}: the rank must be at least 1.")
        model = copy_of(encoder)
        model.requires_grad_(False)
        later = tuple(trained_part(model.visual, self.frozen))  # type: ignore[arg-type]
        changed = [name for name in matrices(model.visual) if any(other.startswith(f"{name}.") for other in later)]  # type: ignore[arg-type]
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=changed,
        )
        model.visual = tower = get_peft_model(model.visual, config).train()  # type: ignore[arg-type]
        trained = {name: parameter for name, parameter in tower.named_parameters() if parameter.requires_grad}
        head, losses = self.train_tower(encoder, tower.get_base_model(), trained, concepts, shots, session)
        state = {name: parameter.detach().clone() for name, parameter in trained.items()}
        model.visual = tower.merge_and_unload()
        return finished(encoder, model.eval(), state, head, concepts, losses)
