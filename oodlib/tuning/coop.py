"""CoOp: learn the words in front of the class name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError
from oodlib.tuning._loop import epochs, train
from oodlib.tuning._prompts import Prompts, frozen, words
from oodlib.tuning.base import Session, Shots, Tuned, Tuner


class CoOp(Tuner):
    r"""Context vectors before the class names, learned through the frozen text tower.

    The prompt of class i is :math:`[v_1, \dots, v_M, \text{name}_i, .]`; its feature :math:`t_i(v)` is what the tower
    makes of it, and v, shared by all classes or one set for each, minimises the cross-entropy of the shots,

    .. math:: -\log \frac{e^{\kappa f^\top t_y(v)}}{\sum_j e^{\kappa f^\top t_j(v)}}.

    Image features are kept, so a step costs one pass of the names through the text tower, however many shots it sees.

    Parameters
    ----------
    context : int or str, default="a photo of a"
        Words to start from, or a number of vectors drawn at random. The authors' code has both; 16 random vectors are
        its default, the words are what later papers compare with.
    epochs : int, default=50
        Passes over the shots.
    batch_size : int, default=32
    lr : float, default=0.002
        Of SGD with momentum 0.9; it falls to 0 along half a cosine. The authors' warm-up epoch is left out.
    weight_decay : float, default=0.0005
    class_specific : bool, default=False
        Whether every class learns vectors of its own. Other names, such as outlier words, then have no learned prompt.

    References
    ----------
    Zhou et al., Learning to Prompt for Vision-Language Models, IJCV 2022, and the authors' code (KaiyangZhou/CoOp).
    """

    def __init__(
        self,
        context: int | str = "a photo of a",
        epochs: int = 50,
        batch_size: int = 32,
        lr: float = 2e-3,
        weight_decay: float = 5e-4,
        class_specific: bool = False,
    ):
        self.context = context
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.class_specific = class_specific

    def learn(self, encoder: Encoder, concepts: Concepts, shots: Shots, session: Session) -> Tuned:
        vectors = self.start(encoder, session.generator())
        length = len(vectors)
        if self.class_specific:
            vectors = vectors.repeat(len(concepts.names), 1, 1)  # (C, M, W)
        vectors.requires_grad_()
        prompts = Prompts(encoder, concepts.names, length)
        optimizer = torch.optim.SGD([vectors], self.lr, momentum=0.9, weight_decay=self.weight_decay)

        def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
            return self.loss(prompts.encode(vectors), concepts, shots, rows, generator)

        with frozen(encoder.model):
            losses = train(
                {"context": vectors},
                optimizer,
                epochs(len(shots), self.batch_size, self.epochs, session.seed),
                loss_of,
                session,
            )
        learned = vectors.detach()

        def encode(names: Sequence[str]) -> Tensor:
            return Prompts(encoder, names, length).encode_all(learned)

        tuned = replace(concepts, text=prompts.encode_all(learned), no_text=None)
        return Tuned(tuned, {"context": learned.cpu()}, losses, encode=None if self.class_specific else encode)

    def start(self, encoder: Encoder, generator: torch.Generator) -> Tensor:
        """The vectors before training: (M, W)."""
        if isinstance(self.context, str):
            return words(encoder, self.context)
        if self.context < 1:
            raise OodlibError(f"{self!r}: context must be words, or a number of vectors of at least 1.")
        width = words(encoder, "a").shape[1]
        return 0.02 * torch.randn(self.context, width, generator=generator).to(encoder.device)

    def loss(self, text: Tensor, concepts: Concepts, shots: Shots, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy of some shots, one random view each, given the class features (C, D)."""
        logits = concepts.logit_scale * shots.drawn(rows, generator).to(text) @ text.T
        return F.cross_entropy(logits, shots.labels[rows].to(logits.device))
