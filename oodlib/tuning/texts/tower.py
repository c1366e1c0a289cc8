"""A classifier of texts that is trained through the language model, as those who tune it for detection do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn import functional as F

from oodlib.cache import digest_of_tensors
from oodlib.encoders.language_models import Tower, named_tower, pooled
from oodlib.encoders.text_encoder import MINILM, TextEncoder, check_texts
from oodlib.errors import OodlibError
from oodlib.pocket.sessions import filled
from oodlib.tuning._loop import epochs, linear, train
from oodlib.tuning.base import Session
from oodlib.tuning.texts._labels import numbered
from oodlib.tuning.texts.losses import checked, total

# From features (N, D) and the class of each (N,) to a number.
Measure = Callable[[NDArray[np.float32], NDArray[Any]], float]


class TowerClassifier(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    r"""A language model and a linear head on its pooled states, trained together: every weight of the model moves.

    .. math:: \mathcal{L} = \mathrm{CE}(W z_\theta + b) + w\, \mathcal{L}_c(z_\theta)

    As in the released code: the losses with their weight and temperature, the contrastive term on the pooled state, the
    optimizer and its linear fall, the model's own dropout, a head that starts from a normal distribution. Ours: the
    head is linear, where theirs has a hidden layer and dropout of its own, so that detectors that read a head read it;
    the size of a batch; and the last batch of an epoch counts though it is smaller. `TextClassifier` is far cheaper.

    Parameters
    ----------
    name : str or Path
        A language model, as `TextEncoder` takes it.
    loss : {"ce_supcon", "margin", "ce"}
        The second term: `released_contrast`, `margin`, or none.
    pooling, length, device
        As `TextEncoder` takes them. RoBERTa is "padded" to 256 in the released code, and GPT-2 "masked".
    epochs : int, default=10
    weight : float, default=2.0
        :math:`w`.
    temperature : float, default=0.3
        Of `released_contrast`.
    lr : float, default=1e-5
        Of AdamW at the first step, from which it falls along a line to 0, with an epsilon of 1e-8 and a weight decay of
        0.01 on what has two dimensions or more: not on biases and layer norms.
    batch_size : int, default=32
        The released code has batches of 4, in which most texts have no other of their class.

    Attributes
    ----------
    encoder_ : TextEncoder
        With the tuned model; what `embed_texts` keeps of it is named by its weights.
    classes_ : array, shape (C,)
    weight_, bias_ : array, float32 (C, D) and (C,)
        The head.
    losses_ : tuple of float
        Of every step.
    course_ : dict of str to tuple of float
        Each of `measures` before the first epoch, and after each.

    References
    ----------
    Uppaal, Hu, Li, Is Fine-tuning Needed? Pre-trained Language Models Are Near Perfect for Out-of-Domain Detection, ACL
    2023 (Uppaal/lm-ood, commits ce8cdf5, `train`, and 04d7fc3, `compute_loss`). Zhou, Liu, Chen, EMNLP 2021.
    """

    encoder_: TextEncoder
    classes_: NDArray[Any]
    weight_: NDArray[np.float32]
    bias_: NDArray[np.float32]
    losses_: tuple[float, ...]
    course_: dict[str, tuple[float, ...]]

    def __init__(
        self,
        name: str | Path = MINILM,
        loss: Literal["ce_supcon", "margin", "ce"] = "ce_supcon",
        *,
        pooling: Literal["masked", "padded"] = "masked",
        length: int = 256,
        device: str = "cpu",
        epochs: int = 10,
        weight: float = 2.0,
        temperature: float = 0.3,
        lr: float = 1e-5,
        batch_size: int = 32,
    ):
        self.name = name
        self.loss = loss
        self.pooling = pooling
        self.length = length
        self.device = device
        self.epochs = epochs
        self.weight = weight
        self.temperature = temperature
        self.lr = lr
        self.batch_size = batch_size

    def fit(
        self,
        texts: Sequence[str],
        labels: Any,
        *,
        seed: int = 0,
        checkpoint: Path | None = None,
        progress: bool = False,
        measures: Mapping[str, Measure] | None = None,
    ) -> Self:
        """Train on texts and the class of each, strings or numbers from 0 up.

        Parameters
        ----------
        texts : sequence of str
        labels : array or sequence
        seed : int
            Of the head, the order of the texts and dropout.
        checkpoint : Path, optional
            Where to keep the state after every epoch, with the optimizer's three times the model; a run that was
            stopped goes on from there and ends with the same weights.
        progress : bool
            Whether to show a progress bar on standard error.
        measures : mapping of str to callable, optional
            What to know of the features of `texts` by epoch, such as `oodlib.evaluation.angles.dispersion`; they are
            encoded once more for it, which takes about a third of an epoch.

        Raises
        ------
        OodlibError
            If the loss or the pooling is unknown, the model cannot be loaded, a text is empty, there is not one label
            for each text, a label is no class, there is one class only, the checkpoint is damaged or of another recipe,
            or the loss is not finite.
        """
        checked(self.loss)
        check_texts(texts)
        self.classes_, places = numbered(labels, len(texts))
        # A part that the folder lacks and dropout draw from torch's own generators, which the caller gets back.
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            tower = named_tower(str(self.name), self.pooling, self.device)
            content = json.dumps([list(texts), self.classes_.tolist(), places.tolist(), sorted(measures or {})])
            recipe = f"{self!r} {seed} {self._around(tower).digest} {hashlib.sha256(content.encode()).hexdigest()}"
            self._learn(tower, list(texts), places, Session(seed, checkpoint, progress, recipe), measures or {})
        weights = {"weights_sha256": digest_of_tensors(tower.model.state_dict())}
        self.encoder_ = self._around(replace(tower, spec=tower.spec | weights))
        return self

    def _learn(
        self, tower: Tower, texts: list[str], labels: Tensor, session: Session, measures: Mapping[str, Measure]
    ) -> None:
        model, encoder, tokens = tower.model.float(), self._around(tower), tower.tokens(texts, self.length)
        weight = 0.02 * torch.randn(len(self.classes_), model.config.hidden_size, generator=session.generator())
        weight = weight.to(self.device).requires_grad_()
        bias = torch.zeros(len(weight), device=self.device, requires_grad=True)
        trained: dict[str, Tensor] = {**dict(model.named_parameters()), "head.weight": weight, "head.bias": bias}
        matrices, vectors = ([one for one in trained.values() if (one.ndim > 1) == many] for many in (True, False))
        groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
        batches = epochs(len(texts), self.batch_size, self.epochs, session.seed)
        each = -(-len(texts) // self.batch_size)  # steps of an epoch
        starts = {id(batches[epoch * each]): epoch for epoch in range(self.epochs)}
        course = torch.zeros(self.epochs + 1, len(measures), dtype=torch.float64)

        def measure(epoch: int) -> None:
            if measures:
                features, known = encoder.encode_texts(texts), self.classes_[labels.numpy()]
                course[epoch] = torch.tensor([of(features, known) for of in measures.values()], dtype=torch.float64)

        def loss_of(rows: Tensor, _: torch.Generator) -> Tensor:
            if id(rows) in starts:
                measure(starts[id(rows)])
            ids, mask = filled([tokens[row] for row in rows], tower.pad, self.length if self.pooling == "padded" else 0)
            model.train()
            features = pooled(
                model, torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device), self.pooling
            )
            model.eval()  # so that whatever comes next reads it without dropout
            logits = F.linear(features, weight, bias)
            return total(self.loss, features, logits, labels[rows].to(self.device), self.weight, self.temperature)

        kept = trained | {"course": course} if measures else trained
        optimizer = torch.optim.AdamW(groups, lr=self.lr, eps=1e-8)
        self.losses_ = train(kept, optimizer, batches, loss_of, session, decay=linear, interval=each)
        self.weight_, self.bias_ = weight.detach().cpu().numpy(), bias.detach().cpu().numpy()
        some = encoder.encode_texts(texts[: self.batch_size]) @ self.weight_.T + self.bias_
        if not np.isfinite(some).all():  # the loss of a step says nothing of what the step itself has done
            raise OodlibError("the logits are not finite after the last step: lower the learning rate")
        measure(self.epochs)
        self.course_ = {name: tuple(course[:, place].tolist()) for place, name in enumerate(measures)}

    def _around(self, tower: Tower) -> TextEncoder:
        return TextEncoder(self.name, pooling=self.pooling, length=self.length, device=self.device, tower=tower)

    def transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features of texts by the tuned model: float32 (n, D)."""
        return self.encoder_.encode_texts(texts)

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits of texts: float32 (n, C); those of kept features are `features @ weight_.T + bias_`."""
        return self.transform(texts) @ self.weight_.T + self.bias_
