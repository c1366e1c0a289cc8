"""PocketCLIP by ONNX Runtime: the features of torch to 1e-5, and a model that is there in a tenth of a second.

Importing torch, torchvision and open_clip takes ten seconds and a gigabyte, which a person waits for and pays for at
every command. The graphs in this folder name places in the assembled model's weight file (`oodlib.pocket.graphs`), so
that nothing but these weights is read, and each tower only when something is to be encoded.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image
from safetensors import safe_open

from oodlib.arrays import Array, as_numpy, as_tensor, normalize
from oodlib.datasets.pixels import as_picture, several, without_far_ends
from oodlib.machine import cores
from oodlib.pocket.assemble import CONTENTS, FILES_SHA256, IMAGE_SIZE, MEAN, MODEL, STD, WEIGHTS, assemble
from oodlib.pocket.sessions import by_length, session
from oodlib.pocket.words import shipped_words
from oodlib.prompts.capabilities import read_capabilities, read_no_head
from oodlib.prompts.reading import Reading
from oodlib.prompts.sets import check_prompts, ensemble

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

CONTEXT = 77  # tokens of a text that are read
PAD = 0  # the token behind a text that is shorter than others
BATCH = 32  # prompts at once: what is computed of more leaves the cache of a core, which takes a quarter longer


class LightEncoder:
    """PocketCLIP on the CPU without torch. It does what `oodlib.encoders.Encoder` does, with arrays for tensors.

    Parameters
    ----------
    home : Path, optional
        Cache folder, in which the model is assembled on first use.
    tensors : bool
        Give features as tensors, for code that computes with torch; what is encoded is kept for both.

    Attributes
    ----------
    spec : dict
        That of `load_encoder("pocket")` but for `runtime` and `versions`, by which kept features are told apart.
    digest, logit_scale, logit_bias, capabilities
        As of `Encoder`.

    Raises
    ------
    OodlibError
        If the weights are missing or damaged, or the cache cannot be written.
    """

    runtime: Literal["onnx"] = "onnx"

    def __init__(self, home: Path | None = None, *, tensors: bool = False):
        self._folder, self.tensors = assemble(home), tensors
        self.capabilities = read_capabilities(WEIGHTS.parent)
        self.spec: dict[str, Any] = {
            "model": "pocket",
            "pretrained": None,
            "weights_sha256": CONTENTS[MODEL],  # which `assemble` has seen to
            "files_sha256": FILES_SHA256,
            "quick_gelu": False,
            "preprocess": {
                "fill_color": 0,
                "interpolation": "bicubic",
                "mean": list(MEAN),
                "mode": "RGB",
                "resize_mode": "shortest",
                "size": [IMAGE_SIZE, IMAGE_SIZE],
                "std": list(STD),
            },
            "normalised": True,
            "precision": "fp32",
            "device": "cpu",
            "runtime": "onnx",
            "versions": {"onnxruntime": version("onnxruntime")},
            "batch_norm": "folded",  # ONNX Runtime folds when it reads the graph
        }

    def __repr__(self) -> str:
        return f"LightEncoder('pocket', digest={self.digest[:8]})"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the specification."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()

    @property
    def logit_scale(self) -> float:
        """The learned factor on the cosine."""
        return float(np.exp(self._weight("logit_scale")))

    logit_bias = 0.0

    def as_features(self, kept: np.ndarray) -> Array:
        """Kept features, as this encoder gives them."""
        return as_tensor(kept) if self.tensors else kept

    def pixels(self, pictures: Iterable[Image.Image]) -> np.ndarray:
        """Pictures scaled and cut as `Encoder.pixels` does it: uint8 (N, 3, 128, 128), the same numbers."""
        return np.stack([_square(without_far_ends(as_picture(picture))) for picture in pictures]).transpose(0, 3, 1, 2)

    def normal(self, pixels: np.ndarray) -> np.ndarray:
        """A batch from `pixels`, as the tower takes it: float32 in [-1, 1]."""
        return (pixels.astype(np.float32) / 255 - np.float32(MEAN[0])) / np.float32(STD[0])

    def encode_images(self, pictures: Sequence[Image.Image] | np.ndarray, batch_size: int = 8) -> Array:
        """Image features: (N, 256) float32, L2-normalised.

        Parameters
        ----------
        pictures : sequence of PIL images or arrays, or array
            Pictures, as `oodlib.datasets.pixels.as_picture` takes them, or a batch from `pixels`.
        batch_size : int
            Pictures in memory at a time.
        """
        pictures = several(pictures)
        shape = getattr(pictures, "shape", ())
        ready = shape[1:] == (3, IMAGE_SIZE, IMAGE_SIZE) and pictures.dtype == np.uint8  # else these are pictures
        parts = []
        for start in range(0, len(pictures), batch_size):
            some = pictures[start : start + batch_size]
            batch = some if ready else self.pixels(some)
            parts.append(normalize(self._image.run(None, {"x": self.normal(batch)})[0]))
        return self.as_features(np.concatenate(parts))

    def encode_texts(
        self, texts: Sequence[str], templates: Sequence[str] | None = None, batch_size: int = BATCH
    ) -> Array:
        """Text features, (C, 256) float32, as `Encoder.encode_texts` explains them."""
        prompts, each = check_prompts(texts, templates)
        features = self.pooled(prompts, batch_size) @ self._weight("text.proj.weight").T
        return self.as_features(as_numpy(ensemble(features.reshape(len(texts), each, -1))))

    def shipped_texts(self, templates: Sequence[str] | None = None) -> Mapping[str, np.ndarray]:
        """Features of the texts of `oodlib.pocket.words`, if it is these templates that they were written into."""
        return shipped_words(self.spec["weights_sha256"], None if templates is None else tuple(templates))

    def read_texts(self, texts: Sequence[str]) -> list[Reading]:
        """What the tower gets of texts, as `Encoder.read_texts` explains it."""
        unknown = self._tokenizer.token_to_id("[UNK]")
        rows = self._tokenizer.encode_batch([_clean(text) for text in texts])
        return [Reading(tuple(row.ids), row.ids.count(unknown), bool(row.overflowing)) for row in rows]

    def encode_no(self, names: Sequence[str], templates: Sequence[str] | None = None) -> Array:
        """What the "no" head makes of names, (C, 256) float32, as `Encoder.encode_no` explains it."""
        prompts, each = check_prompts(names, templates)
        before = self.pooled(prompts)
        weight, bias = read_no_head(self.capabilities.no_head, self.spec["model"], before.shape[1])
        return self.as_features(as_numpy(ensemble((before @ weight.T + bias).reshape(len(names), each, -1))))

    def pooled(self, prompts: Sequence[str], batch_size: int = BATCH) -> np.ndarray:
        """Output of the frozen text tower before its projection, (N, 384), on all cores."""
        rows = self._tokenizer.encode_batch([_clean(prompt) for prompt in prompts])

        def run(ids: np.ndarray, _: np.ndarray) -> np.ndarray:
            mask = (ids != PAD).astype(np.int64)  # as open_clip makes it, even of a text that spells this token
            return np.asarray(self._text.run(None, {"input_ids": ids, "attention_mask": mask})[0])

        return by_length([row.ids for row in rows], run, batch_size=batch_size, workers=cores(), pad=PAD)

    @cached_property
    def _image(self) -> InferenceSession:
        return session("image.onnx", self._folder)

    @cached_property
    def _text(self) -> InferenceSession:
        return session("text.onnx", self._folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.enable_truncation(CONTEXT)
        tokenizer.no_padding()
        return tokenizer

    def _weight(self, name: str) -> np.ndarray:
        with safe_open(self._folder / MODEL, framework="np") as file:
            return np.asarray(file.get_tensor(name))


def _square(picture: Image.Image) -> np.ndarray:
    """The shorter side scaled to the model's, the middle cut out: what torchvision's Resize and CenterCrop do to it."""
    width, height = picture.size
    short = min(width, height)
    # The longer side is rounded down, the place of the cut to the nearest even pixel, as torchvision does.
    size = (int(IMAGE_SIZE * width / short), int(IMAGE_SIZE * height / short))
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = (round((side - IMAGE_SIZE) / 2.0) for side in size)
    return np.asarray(picture.crop((left, top, left + IMAGE_SIZE, top + IMAGE_SIZE)))


def _clean(text: str) -> str:
    """What open_clip does to a text before the tokenizer: repaired characters, no HTML, single spaces."""
    if text.isascii() and text.isprintable() and "&" not in text:  # nothing to repair, as in most of 30,000 prompts
        return " ".join(text.split())
    import ftfy

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def twin_of(encoder: Any) -> LightEncoder | None:
    """The same model in ONNX Runtime, where `encoder` is PocketCLIP as it comes, in torch on a CPU.

    Its features are those of torch to 1e-5 and take two thirds of the CPU time, and what one of the two has encoded is
    kept for the other.
    """
    spec = getattr(encoder, "spec", {})
    if isinstance(encoder, LightEncoder) or spec.get("model") != "pocket":
        return None
    light = LightEncoder()
    both = spec | {"runtime": light.runtime, "versions": light.spec["versions"]}
    return light if both == light.spec else None
