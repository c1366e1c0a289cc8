"""An encoder of texts alone: any of Hugging Face's language models, with its pooling stated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from oodlib.encoders.language_models import Tower, minilm_by_onnx, named_tower
from oodlib.errors import OodlibError
from oodlib.pocket.sessions import by_length
from oodlib.prompts.sets import check_prompts

MINILM = "minilm"
BATCH = 16  # texts at once: of sentences, more leave the cache of a core, which takes a fifth longer


def check_texts(texts: Sequence[str]) -> None:
    """Refuse a text that is empty or no string, by an `OodlibError`."""
    for row, text in enumerate(() if isinstance(texts, str) else texts):
        if not isinstance(text, str) or not text.strip():
            raise OodlibError(f"text {row} of {len(texts)} is empty or no string: leave it out")


class TextEncoder:
    r"""A language model whose last hidden states are averaged over the places of a text.

    .. math:: z = \frac{1}{|P|} \sum_{p \in P} h_p

    *Masked*: :math:`P` are the text's own tokens, so that padding changes nothing. *Padded*: every text is padded to
    `length` tokens, and :math:`P` are all of these places. No token attends to padding, but what the model makes of a
    place that pads is part of the mean, and its share grows as the text gets shorter: the feature carries the length of
    the text. The released code of Uppaal et al. reads RoBERTa so, with a length of 256.

    Parameters
    ----------
    name : str or Path
        "minilm": all-MiniLM-L6-v2, the frozen text tower of PocketCLIP, which needs no download. Or a model of Hugging
        Face by its name or folder.
    pooling : {"masked", "padded"}
    length : int
        Tokens of a text that are read, its marks of beginning and end among them; the rest is cut off.
    device : str
        Of models in torch, as torch names it. The masked MiniLM runs in ONNX Runtime, on the CPU.
    home : Path, optional
        Cache folder in which PocketCLIP is assembled.
    tower : Tower, optional
        The model itself, where it is not the named one as it comes: `oodlib.tuning.texts.TowerClassifier` tunes it.

    Attributes
    ----------
    spec : dict
        Everything that decides a feature: the model, the SHA-256 of its weights and of its configuration and tokenizer,
        pooling, length, runtime and versions. JSON-able.
    digest : str
        SHA-256 of `spec`, by which `oodlib.embeddings.texts.embed_texts` keeps features.

    Raises
    ------
    OodlibError
        If the model cannot be loaded or has an encoder beside a decoder, or the pooling or length is none of its.

    References
    ----------
    Uppaal, Hu, Li, Is Fine-tuning Needed? Pre-trained Language Models Are Near Perfect for Out-of-Domain Detection, ACL
    2023 (Uppaal/lm-ood, commit 2b360ba). Reimers, Gurevych, Sentence-BERT, EMNLP 2019, for the masked mean.
    """

    def __init__(
        self,
        name: str | Path = MINILM,
        *,
        pooling: Literal["masked", "padded"] = "masked",
        length: int = 256,
        device: str = "cpu",
        home: Path | None = None,
        tower: Tower | None = None,
    ):
        if pooling not in ("masked", "padded"):
            raise OodlibError(f"there is no pooling {pooling!r}: choose masked or padded")
        if tower is None:
            light = (str(name), pooling, device) == (MINILM, "masked", "cpu")
            tower = minilm_by_onnx(home) if light else named_tower(str(name), pooling, device)
        self._tower = tower
        if not 3 <= length <= self._tower.longest:
            raise OodlibError(
                f"{name} cannot read texts of {length} tokens: pass a length from 3 to {self._tower.longest}"
            )
        self.name, self.pooling, self.length = str(name), pooling, length
        folder = Path(self.name)
        self.spec: dict[str, Any] = {
            "model": f"text:{folder.name if folder.is_dir() else name}",
            **self._tower.spec,
            "pooling": pooling,
            "length": length,
            "normalised": False,
            "precision": "fp32",
            "device": device.split(":")[0],
        }

    def __repr__(self) -> str:
        return f"TextEncoder({self.name!r}, pooling={self.pooling!r}, length={self.length})"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the specification."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()

    def as_features(self, kept: np.ndarray) -> np.ndarray:
        """Kept features, as this encoder gives them."""
        return kept

    def lengths(self, texts: Sequence[str]) -> np.ndarray:
        """Tokens of each text that are read, the marks of beginning and end among them: int64 (N,)."""
        return np.array([len(row) for row in self._tower.tokens(list(texts), self.length)], np.int64)

    def encode_texts(
        self, texts: Sequence[str], templates: Sequence[str] | None = None, batch_size: int = BATCH
    ) -> np.ndarray:
        """Features of texts; neither the order of the texts nor a text that comes twice changes one.

        Parameters
        ----------
        texts : sequence of str
        templates : sequence of str, optional
            Sentences with `{}` where the text goes; the feature is the mean over them.
        batch_size : int
            Texts at once.

        Returns
        -------
        array
            (N, D) float32. *Not* normalised: covariances are those of the features as they come.

        Raises
        ------
        OodlibError
            If there is no text, or one is empty.
        """
        check_texts(texts)
        prompts, each = check_prompts(texts, templates)
        # Batches are the same whatever the order: equal texts get features that are equal to the last bit.
        different = sorted(set(prompts))
        row_of = {prompt: row for row, prompt in enumerate(different)}
        features = by_length(
            self._tower.tokens(different, self.length),
            self._tower.run,
            batch_size=batch_size,
            workers=self._tower.workers,
            pad=self._tower.pad,
            least=self.length if self.pooling == "padded" else 0,
        )
        rows = np.array([row_of[prompt] for prompt in prompts]).reshape(len(texts), each)
        found: np.ndarray = features[rows[:, 0]] if each == 1 else features[rows].mean(axis=1)
        return found
