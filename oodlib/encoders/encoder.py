"""An encoder: a CLIP-like model behind two calls, with a specification that leaves nothing implicit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import Normalize, ToTensor

from oodlib.datasets.pixels import as_picture, several, without_far_ends
from oodlib.encoders.folding import fold_batch_norm
from oodlib.encoders.patches import local_features
from oodlib.encoders.projection import without_projection
from oodlib.encoders.short_texts import for_length, is_causal, text_lengths
from oodlib.errors import OodlibError
from oodlib.machine import autocast
from oodlib.prompts.capabilities import Capabilities, read_no_head
from oodlib.prompts.reading import Reading
from oodlib.prompts.sets import check_prompts, ensemble


class Encoder:
    """A CLIP-like model with its preprocessing and tokenizer. Make one with `load_encoder`.

    Attributes
    ----------
    spec : dict
        Everything that decides a feature: model, the hashes of its weights and of all other files that it reads,
        QuickGELU or not, preprocessing, precision, device type, library versions. JSON-able.
    digest : str
        SHA-256 of `spec`: part of the key of kept features.
    logit_scale : float
        What the model multiplies cosines by; 1 / logit_scale is its softmax temperature.
    logit_bias : float
        What a model that was trained pair by pair (SigLIP) adds after that: sigmoid(logit_scale * cosine + logit_bias)
        is its probability that picture and text belong together. It was trained with no softmax, so 1 / logit_scale is
        not a temperature that it learned, and in a softmax the bias has no effect. 0 for models that have none.
    capabilities : Capabilities
        Prompts that suit the model, and its "no" head if it has one.
    """

    runtime: Literal["torch"] = "torch"

    def __init__(
        self,
        model: nn.Module,
        preprocess: Any,
        tokenizer: Any,
        spec: dict[str, Any],
        device: str | None = None,
        capabilities: Capabilities | None = None,
    ):
        self.spec, self.capabilities = spec, capabilities or Capabilities()
        self.device = torch.device(device or spec["device"])  # the specification names no GPU by its number
        self.preprocess, self.tokenizer = preprocess, tokenizer
        # Both more than double the speed of convolutions on CPUs and change no result beyond rounding.
        sides = spec["preprocess"].get("size") or [1]
        if fold_batch_norm(cast(nn.Module, model.visual).eval(), sides if isinstance(sides, int) else max(sides)):
            self.spec = {**spec, "batch_norm": "folded"}
        self.model: Any = model.eval().to(self.device).to(memory_format=torch.channels_last)

    def __repr__(self) -> str:
        return f"Encoder({self.spec['model']!r}, pretrained={self.spec['pretrained']!r}, digest={self.digest[:8]})"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the specification."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()

    @property
    def logit_scale(self) -> float:
        """The learned factor on the cosine."""
        return float(self.model.logit_scale.detach().exp())

    @property
    def logit_bias(self) -> float:
        """The learned shift after the factor, of models trained with a sigmoid; 0 for others."""
        bias = getattr(self.model, "logit_bias", None)
        return 0.0 if bias is None else float(bias.detach())

    def as_features(self, kept: np.ndarray) -> Tensor:
        """Kept features, as this encoder gives them."""
        return torch.from_numpy(kept)

    def _autocast(self) -> AbstractContextManager[Any]:
        return autocast(self.spec["precision"], self.device.type)

    def pixels(self, pictures: Iterable[Image.Image]) -> Tensor:
        """Pictures, at least one, scaled and cut as the model was trained to see them.

        Returns
        -------
        Tensor
            uint8 (N, 3, H, W), or what `prepare` gives where a model's own steps have no such stage. It is a quarter of
            the size, and `encode_images` does the rest where the model is.

        Raises
        ------
        OodlibError
            If one is no picture, as `oodlib.datasets.pixels.as_picture` says.
        """
        steps = getattr(self.preprocess, "transforms", [])
        # Where the shorter side is scaled and the middle cut out, a strip of 30,000 x 1 would grow to 11 gigabytes.
        strips = self.spec["preprocess"].get("resize_mode", "shortest") == "shortest"
        rgb = map(as_picture, pictures)
        upright = map(without_far_ends, rgb) if strips else rgb
        last = steps[-2:]  # open_clip's own steps derive from these
        if len(last) < 2 or not isinstance(last[0], ToTensor) or not isinstance(last[1], Normalize):
            return torch.stack([self.preprocess(picture) for picture in upright])
        scaled = []
        for ready in upright:
            for step in steps[:-2]:
                ready = step(ready)
            scaled.append(np.asarray(ready))
        return torch.from_numpy(np.stack(scaled)).permute(0, 3, 1, 2)

    def prepare(self, pictures: Iterable[Image.Image]) -> Tensor:
        """Preprocess pictures, at least one, as the model was trained to see them: float (N, 3, H, W)."""
        return self._normalised(self.pixels(pictures))

    def _normalised(self, batch: Tensor) -> Tensor:
        """The last two steps, from bytes to normalised numbers, on all pictures at once: several times faster."""
        if batch.dtype != torch.uint8:
            return batch.float()
        return cast(Tensor, self.preprocess.transforms[-1](batch.float().div_(255)))

    def encode_images(self, pictures: Sequence[Image.Image] | Tensor, batch_size: int = 64) -> Tensor:
        """Image features.

        Parameters
        ----------
        pictures : sequence of PIL images or arrays, or Tensor
            Pictures, as `oodlib.datasets.pixels.as_picture` takes them, or a batch from `pixels` or `prepare`,
            (N, 3, H, W): uint8 is normalised, floating-point numbers are so already.
        batch_size : int
            Pictures in memory at a time.

        Returns
        -------
        Tensor
            (N, D) float32 on the CPU, L2-normalised unless `spec` says otherwise.

        Raises
        ------
        OodlibError
            If there is no picture, one is none, or a tensor is no such batch.
        """
        return self._encode(pictures, batch_size, self.model.encode_image)

    def encode_patches(self, pictures: Sequence[Image.Image] | Tensor, batch_size: int = 64) -> Tensor:
        """Local image features in the space of the text features, as GL-MCM and LoCoOp use them.

        Takes what `encode_images` takes and gives (N, P, D) float32 on the CPU, L2-normalised: P patches a picture, row
        by row. At 196 patches of 512 numbers a picture takes 400 KB. See `oodlib.encoders.patches.local_features`.
        """
        return self._encode(pictures, batch_size, lambda batch: local_features(self.model.visual, batch))

    def _encode(
        self, pictures: Sequence[Image.Image] | Tensor, batch_size: int, encode: Callable[[Tensor], Tensor]
    ) -> Tensor:
        pictures = several(pictures)
        if isinstance(pictures, Tensor):
            self._check_batch(pictures)
        parts = []
        for start in range(0, len(pictures), batch_size):
            some = pictures[start : start + batch_size]
            batch = some if isinstance(some, Tensor) else self.pixels(some)
            batch = self._normalised(batch.to(self.device)).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode(), self._autocast():
                features = encode(batch).float()
                parts.append((F.normalize(features, dim=-1) if self.spec.get("normalised", True) else features).cpu())
        return torch.cat(parts).clone()

    def _check_batch(self, batch: Tensor) -> None:
        """Refuse a tensor that is not as `pixels` or `prepare` give it: the model would see something else."""
        size = self.spec["preprocess"].get("size")
        sides = tuple(batch.shape[2:]) if size is None else (size, size) if isinstance(size, int) else tuple(size)
        known = batch.dtype == torch.uint8 or batch.is_floating_point()
        if batch.ndim != 4 or tuple(batch.shape[1:]) != (3, *sides) or not known:
            raise OodlibError(
                f"a tensor of pictures must be what pixels() or prepare() give, uint8 or float (N, 3, H, W) with "
                f"H, W = {sides}, not {str(batch.dtype).removeprefix('torch.')} {tuple(batch.shape)}: pass the "
                "pictures themselves"
            )
        if batch.is_floating_point() and not bool(batch.isfinite().all()):
            raise OodlibError("a tensor of pictures has NaN or infinite values: leave those pictures out")

    def encode_texts(
        self, texts: Sequence[str], templates: Sequence[str] | None = None, batch_size: int = 256
    ) -> Tensor:
        """Text features; with several templates their ensemble (normalise, mean, normalise).

        Parameters
        ----------
        texts : sequence of str
            C class names or sentences.
        templates : sequence of str, optional
            Prompts with `{}` where the text goes; by default the texts are used as they are.
        batch_size : int
            Prompts in memory at a time.

        Returns
        -------
        Tensor
            (C, D) float32 on the CPU, L2-normalised.

        Raises
        ------
        OodlibError
            If there is no text, or one of them is empty.
        """
        prompts, each = check_prompts(texts, templates)
        tokens = self.tokens(prompts)
        lengths = self.lengths(tokens)
        order = lengths.argsort(stable=True)  # prompts of one length go together, because padding costs as much as text
        parts = []
        for rows in order.split(batch_size):
            batch = tokens[rows, : int(lengths[rows].max())].to(self.device)
            with torch.inference_mode(), self._autocast():
                parts.append(F.normalize(self.encode_tokens(batch).float(), dim=-1).cpu())
        encoded = torch.cat(parts)
        features = torch.empty(encoded.shape).index_copy_(0, order, encoded.clone())
        means: Tensor = ensemble(features.view(len(texts), each, -1))
        return means

    def encode_no(self, names: Sequence[str], templates: Sequence[str] | None = None) -> Tensor:
        """What the "no" head makes of names: (C, D) float32 on the CPU, L2-normalised, in the space of `encode_texts`.

        Parameters
        ----------
        names : sequence of str
        templates : sequence of str, optional
            The same *positive* prompts as for the "yes" features: the head does the negation.

        Raises
        ------
        OodlibError
            If the model has no such head, or the head's file is missing, damaged or for another model.
        """
        prompts, each = check_prompts(names, templates)
        before = self.pooled(prompts)
        head = read_no_head(self.capabilities.no_head, self.spec["model"], before.shape[1])
        weight, bias = map(torch.from_numpy, head)
        features = F.normalize(F.linear(before, weight, bias), dim=-1)
        means: Tensor = ensemble(features.view(len(names), each, -1))
        return means

    def pooled(self, prompts: Sequence[str], batch_size: int = 256) -> Tensor:
        """Output of the text tower before its projection, as it comes and in float32: (N, P) on the CPU."""
        parts = []
        with without_projection(self.model), torch.no_grad():
            for start in range(0, len(prompts), batch_size):
                tokens = self.tokens(prompts[start : start + batch_size]).to(self.device)
                parts.append(self.encode_tokens(tokens).cpu())
        return torch.cat(parts)

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """Token ids, without the columns that only pad, where padding changes nothing: several times faster."""
        tokens: Tensor = self.tokenizer(list(prompts))
        return tokens[:, : int(self.lengths(tokens).max())]

    def read_texts(self, texts: Sequence[str]) -> list[Reading]:
        """What the tower gets of texts as they are, without templates: `oodlib.prompts.reading` tells."""
        tokens = self.tokens(texts)
        width = self.tokenizer([""]).shape[1]
        # Two places more than the tower has: where a text fills them, its end is cut. Some end texts with what pads.
        *longer, empty = self.tokenizer([*texts, ""], context_length=width + 2)[:, width:].tolist()
        inner = getattr(self.tokenizer, "tokenizer", None)
        unknown = getattr(inner, "unk_token_id", None)  # none in a vocabulary of bytes, or the one that ends texts
        if unknown in (getattr(inner, "eos_token_id", None), getattr(inner, "pad_token_id", None)):
            unknown = None
        rows = [row[:length] for row, length in zip(tokens.tolist(), self.lengths(tokens).tolist(), strict=True)]
        return [Reading(tuple(row), row.count(unknown), end != empty) for row, end in zip(rows, longer, strict=True)]

    def lengths(self, tokens: Tensor) -> Tensor:
        """How many of each prompt's tokens decide its feature, the others being padding: (n, L) -> int64 (n,)."""
        if isinstance(self.tokenizer, open_clip.tokenizer.HFTokenizer):  # its towers mask padding
            padding: int = self.tokenizer.tokenizer.pad_token_id
            return (tokens != padding).sum(1)
        return text_lengths(tokens) if is_causal(self.model) else torch.full((len(tokens),), tokens.shape[1])

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """What the text tower makes of tokens of this encoder, (n, L), as it comes: (n, D)."""
        with for_length(self.model, tokens.shape[1]):
            return cast(Tensor, self.model.encode_text(tokens))
