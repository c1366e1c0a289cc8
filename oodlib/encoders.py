"""Encoders: any open_clip model behind two calls, with a specification that leaves nothing implicit."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import Normalize, ToTensor

from oodlib.errors import OodlibError
from oodlib.folding import fold_batch_norm
from oodlib.images import to_rgb
from oodlib.patches import local_features
from oodlib.prompts import ensemble, fill
from oodlib.torchscript import archived_weights

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LOCAL = "local-dir:"


class Encoder:
    """A CLIP-like model with its preprocessing and tokenizer. Make one with `load_encoder`.

    Attributes
    ----------
    spec : dict
        Everything that decides a feature: model, weights and their hash, QuickGELU or not, preprocessing, precision,
        device type, library versions. JSON-able.
    digest : str
        SHA-256 of `spec`: part of the key of kept features.
    logit_scale : float
        What the model multiplies cosines by; 1 / logit_scale is its softmax temperature.
    """

    def __init__(self, model: nn.Module, preprocess: Any, tokenizer: Any, spec: dict[str, Any]):
        self.spec = spec
        self.device = torch.device(spec["device"])
        self.preprocess, self._tokenizer = preprocess, tokenizer
        # Both more than double the speed of convolutions on CPUs and change no result beyond rounding.
        sides = spec["preprocess"].get("size") or [1]
        if fold_batch_norm(model.visual.eval(), sides if isinstance(sides, int) else max(sides)):
            self.spec = {**spec, "batch_norm": "folded"}
        self.model = model.eval().to(self.device).to(memory_format=torch.channels_last)

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

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        kind = PRECISIONS[self.spec["precision"]]
        return contextlib.nullcontext() if kind is torch.float32 else torch.autocast(self.device.type, dtype=kind)

    def prepare(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Preprocess pictures as the model was trained to see them: float (N, 3, H, W)."""
        steps = getattr(self.preprocess, "transforms", [])
        if [type(step) for step in steps[-2:]] != [ToTensor, Normalize]:
            return torch.stack([self.preprocess(to_rgb(picture)) for picture in pictures])
        # The last two steps, from pixels to normalised numbers, on all pictures at once: several times faster.
        pixels = []
        for picture in pictures:
            ready = to_rgb(picture)
            for step in steps[:-2]:
                ready = step(ready)
            pixels.append(np.asarray(ready))
        batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div_(255)
        return cast(Tensor, steps[-1](batch))

    def encode_images(self, pictures: Sequence[Image.Image] | Tensor, batch_size: int = 64) -> Tensor:
        """Image features.

        Parameters
        ----------
        pictures : sequence of PIL images, or Tensor
            Pictures, or a batch that `prepare` made, (N, 3, H, W).
        batch_size : int
            Pictures in memory at a time.

        Returns
        -------
        Tensor
            (N, D) float32 on the CPU, L2-normalised.
        """
        return self._encode(pictures, batch_size, self.model.encode_image)

    def encode_patches(self, pictures: Sequence[Image.Image] | Tensor, batch_size: int = 64) -> Tensor:
        """Local image features in the space of the text features, as GL-MCM and LoCoOp use them.

        Takes what `encode_images` takes and gives (N, P, D) float32 on the CPU, L2-normalised: P patches a picture, row
        by row. At 196 patches of 512 numbers a picture takes 400 KB. See `oodlib.patches.local_features`.
        """
        return self._encode(pictures, batch_size, lambda batch: local_features(self.model.visual, batch))

    def _encode(
        self, pictures: Sequence[Image.Image] | Tensor, batch_size: int, encode: Callable[[Tensor], Tensor]
    ) -> Tensor:
        if len(pictures) == 0:
            raise OodlibError("there are no pictures to encode: pass at least one")
        parts = []
        for start in range(0, len(pictures), batch_size):
            some = pictures[start : start + batch_size]
            batch = some if isinstance(some, Tensor) else self.prepare(some)
            batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode(), self._autocast():
                parts.append(F.normalize(encode(batch).float(), dim=-1).cpu())
        return torch.cat(parts).clone()

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
        if isinstance(texts, str):
            raise OodlibError(f"texts must be a list of strings, not one string: pass [{texts!r}]")
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise OodlibError("every text must be a string with at least one letter: check the list of names")
        templates = tuple(templates) if templates is not None else ("{}",)
        prompts = fill(texts, templates)
        # Prompts of like length go together: the shorter the longest of a batch, the less is computed.
        order = sorted(range(len(prompts)), key=lambda row: (len(prompts[row].split()), len(prompts[row])))
        parts = []
        for start in range(0, len(prompts), batch_size):
            tokens = self.tokens([prompts[row] for row in order[start : start + batch_size]]).to(self.device)
            with torch.inference_mode(), self._autocast():
                parts.append(F.normalize(self.model.encode_text(tokens).float(), dim=-1).cpu())
        encoded = torch.cat(parts)
        features = torch.empty(encoded.shape).index_copy_(0, torch.tensor(order), encoded.clone())
        return ensemble(features.view(len(texts), len(templates), -1))

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """Token ids; a Hugging Face tower masks padding, so columns that only pad are cut: several times faster."""
        tokens = self._tokenizer(list(prompts))
        if isinstance(self._tokenizer, open_clip.tokenizer.HFTokenizer):
            tokens = tokens[:, : int((tokens != self._tokenizer.tokenizer.pad_token_id).sum(1).max())]
        return tokens


def load_encoder(
    name: str,
    pretrained: str | None = None,
    *,
    device: str = "cpu",
    precision: str = "fp32",
    quick_gelu: bool | None = None,
    home: Path | None = None,
) -> Encoder:
    """Load an encoder by name.

    Parameters
    ----------
    name : str
        `pocket` (PocketCLIP, assembled on first use), an open_clip architecture such as `ViT-B-16`, or a name with
        open_clip's own prefix: `local-dir:FOLDER`, `hf-hub:ORG/REPO`.
    pretrained : str, optional
        open_clip's tag of the weights (`openai`, `laion2b_s34b_b88k`) or a weight file, open_clip's or OpenAI's.
        Architectures need one.
    device : str
        `cpu`, `cuda` or `mps`, as torch names them.
    precision : {"fp32", "bf16", "fp16"}
        Arithmetic inside the model; features are float32 in any case.
    quick_gelu : bool, optional
        Activation of an architecture loaded by name. By default the one its tag was trained with; a weight *file* does
        not say, so it must be given there.
    home : Path, optional
        Cache folder for `pocket`.

    Returns
    -------
    Encoder

    Raises
    ------
    OodlibError
        If the name, tag, device or precision is unknown, or the weights cannot be had.
    """
    if precision not in PRECISIONS:
        raise OodlibError(f"there is no precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    _check_device(device)
    source = name
    if name == "pocket":
        from oodlib.pocket.assemble import assemble

        source = f"{LOCAL}{assemble(home)}"
    prefixed = source.startswith((LOCAL, "hf-hub:"))
    if not prefixed:
        quick_gelu = _check_architecture(name, pretrained, quick_gelu)
    try:
        with _quiet():
            archive = None if prefixed else archived_weights(pretrained or "")
            model, _, preprocess = open_clip.create_model_and_transforms(
                source,
                pretrained=None if prefixed or archive else pretrained,
                force_quick_gelu=bool(quick_gelu),
                require_pretrained=archive is None,  # else a folder without weights gives random features
            )
            if archive:
                model.load_state_dict(archive)
            tokenizer = open_clip.get_tokenizer(source)
    except Exception as error:  # open_clip and the hub client raise many kinds
        raise OodlibError(
            f"the encoder {name!r} (pretrained={pretrained!r}) cannot be loaded: {_one_line(error)}; "
            "check the name, the weight file and the network, or use 'pocket', which needs no download"
        ) from error
    return Encoder(model, preprocess, tokenizer, _spec(name, source, pretrained, device, precision, model))


def _spec(
    name: str, source: str, pretrained: str | None, device: str, precision: str, model: nn.Module
) -> dict[str, Any]:
    pre = dict(getattr(model.visual, "preprocess_cfg", {}))
    quick = any(type(module).__name__ == "QuickGELU" for module in model.modules())
    folder = Path(source.removeprefix(LOCAL)) if source.startswith(LOCAL) else None
    found = open_clip.factory._find_checkpoint_in_dir(folder) if folder else pretrained
    weights = Path(found) if found and Path(found).is_file() else None
    return {
        "model": name if folder is None or name == "pocket" else f"{LOCAL}{folder.name}",
        "pretrained": Path(pretrained).name if pretrained and weights else pretrained,
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest() if weights else None,
        "quick_gelu": quick,
        "preprocess": {key: list(value) if isinstance(value, tuple) else value for key, value in sorted(pre.items())},
        "normalised": True,
        "precision": precision,
        "device": device.split(":")[0],
        "versions": {"open_clip": open_clip.__version__, "torch": torch.__version__.split("+")[0]},
    }


def _check_device(device: str) -> None:
    kind = device.split(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in there:
        raise OodlibError(f"there is no device {device!r}: choose one of {', '.join(there)}")
    if not there[kind]:
        raise OodlibError(f"this machine has no usable {kind} device: choose device='cpu'")


def _check_architecture(name: str, pretrained: str | None, quick_gelu: bool | None) -> bool:
    """Whether to use QuickGELU for an architecture that is loaded by name; refuses to guess."""
    if name not in open_clip.list_models():
        raise OodlibError(
            f"there is no encoder {name!r}: `open_clip.list_models()` lists the names, 'pocket' needs no download"
        )
    if pretrained is None:
        raise OodlibError(
            f"{name} without weights knows nothing: pass pretrained=..., a tag of open_clip or a weight file"
        )
    trained = open_clip.get_pretrained_cfg(name, pretrained)
    if trained:
        return bool(trained.get("quick_gelu", False)) if quick_gelu is None else quick_gelu
    if not Path(pretrained).is_file():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
        raise OodlibError(f"{name} has no weights {pretrained!r}: it is no file, and the tags are {tags}")
    if quick_gelu is False and open_clip.get_model_config(name).get("quick_gelu"):
        raise OodlibError(f"{name} is built with QuickGELU: take the architecture without '-quickgelu', or pass True")
    if quick_gelu is None:
        raise OodlibError(
            f"the weight file {pretrained} does not say its activation: pass quick_gelu=True (OpenAI) or False"
        )
    return quick_gelu


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep open_clip's progress notes off the root logger while it loads."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _one_line(error: Exception) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return (line if len(line) <= 200 else f"{line[:196]} ...").rstrip(".")
