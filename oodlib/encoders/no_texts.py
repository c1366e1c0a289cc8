"""Features of a "no" head, as those of an encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


@dataclass(frozen=True)
class NoTexts:
    """An encoder's "no" head as `oodlib.embeddings.embed_texts` takes an encoder: its features are kept, too."""

    encoder: Encoder | LightEncoder

    @property
    def digest(self) -> str:
        """SHA-256 of the model's digest and the head's file."""
        head = self.encoder.capabilities.no_head
        return hashlib.sha256(self.encoder.digest.encode() + (head.read_bytes() if head else b"")).hexdigest()

    def encode_texts(self, texts: Sequence[str], templates: Sequence[str] | None = None) -> Tensor:
        """As `Encoder.encode_no`."""
        return self.encoder.encode_no(texts, templates)

    def as_features(self, kept: np.ndarray) -> Tensor:
        """Kept features, as this head gives them."""
        return self.encoder.as_features(kept)
