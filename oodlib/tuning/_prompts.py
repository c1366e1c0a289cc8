"""Prompts whose first words are learned vectors, through the real text tower, whichever tower it is.

Every text tower looks its tokens up in a table. A prompt is written with as many filler words as there are vectors
to learn, and a hook on that table replaces what it gives for them. Nothing else of the tower is touched, so the same
lines serve open_clip's own transformer and a Hugging Face tower.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodlib.encoders.encoder import Encoder
from oodlib.errors import OodlibError

_FILLER = "x"
_MOST = 256  # prompts in one pass through the tower


class Prompts:
    """Prompts "<vectors> name." of some names.

    Parameters
    ----------
    encoder : Encoder
    names : sequence of str
        C names.
    length : int
        Number of vectors, M.

    Raises
    ------
    OodlibError
        If the tower's tokenizer cuts the filler words or has no token for them.
    """

    def __init__(self, encoder: Encoder, names: Sequence[str], length: int):
        self.encoder, self.length = encoder, length
        written = [f"{' '.join([_FILLER] * length)} {name}." for name in names]
        self.tokens = encoder.tokens(written).to(encoder.device)
        alone = encoder.tokens([_FILLER])[0, 1].to(encoder.device)
        if not (self.tokens[:, 1 : 1 + length] == alone).all():
            raise OodlibError(f"the tokenizer of {encoder!r} does not keep {length} filler words in front of a name.")
        # Prompts of one length go together, so that nothing is computed for padding.
        padding = (self.tokens == self.tokens[:, -1:]).flip(1).cumprod(1).sum(1)
        order = padding.argsort(descending=True, stable=True)
        alike = order.split(padding[order].unique_consecutive(return_counts=True)[1].tolist())
        self._parts = [part for rows in alike for part in rows.split(_MOST)]
        self._widths = [encoder.tokens([written[row] for row in rows.tolist()]).shape[1] for rows in self._parts]
        self._back = torch.cat(self._parts).argsort()

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, vectors: Tensor, rows: Tensor | None = None) -> Tensor:
        """Text features, differentiable in `vectors`.

        Parameters
        ----------
        vectors : Tensor
            (M, W) for all prompts, or (n, M, W), one set a prompt; W is the width of the tower.
        rows : Tensor, optional
            int64 (n,): which names, in which order; by default all, once.

        Returns
        -------
        Tensor
            (n, D), L2-normalised.
        """
        if rows is not None:
            return self._pass(vectors, self.tokens[rows])
        encoded = [
            self._pass(vectors if vectors.ndim == 2 else vectors[part], self.tokens[part, :width])
            for part, width in zip(self._parts, self._widths, strict=True)
        ]
        return torch.cat(encoded)[self._back]

    def encode_all(self, vectors: Tensor) -> Tensor:
        """Text features of all names without gradients: (C, D), on the CPU."""
        with torch.no_grad():
            return self.encode(vectors).cpu()

    def _pass(self, vectors: Tensor, tokens: Tensor) -> Tensor:
        with _in_place_of(table(self.encoder.model), vectors, self.length):
            return F.normalize(self.encoder.encode_tokens(tokens).float(), dim=-1)


def table(model: nn.Module) -> nn.Embedding:
    """The table of token vectors: the largest of the model's embeddings; the others hold places and segments."""
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    if not tables:
        raise OodlibError(f"{type(model).__name__} has no table of token vectors: prompts cannot be learned for it.")
    return max(tables, key=lambda module: module.num_embeddings)


def words(encoder: Encoder, text: str) -> Tensor:
    """The vectors of some words as the tower's own table has them: (M, W)."""
    end = encoder.tokens([_FILLER])[0, 2]
    tokens = encoder.tokens([text])[0]
    length = int((tokens == end).nonzero()[0]) - 1
    return table(encoder.model).weight.detach()[tokens[1 : 1 + length].to(encoder.device)].clone()


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Compute no gradients for the model's own weights: only what is learned in addition gets some."""
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)


@contextmanager
def _in_place_of(embedding: nn.Embedding, vectors: Tensor, length: int) -> Iterator[None]:
    def replace(_: nn.Module, __: object, looked_up: Tensor) -> Tensor:
        learned = vectors.to(looked_up).expand(len(looked_up), -1, -1)
        return torch.cat([looked_up[:, :1], learned, looked_up[:, 1 + length :]], dim=1)

    handle = embedding.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()
