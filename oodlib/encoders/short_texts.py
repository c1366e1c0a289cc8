"""Texts without their padding: the text tower of a CLIP sees nothing behind the end of a text, so it need not be there.

CLIP pads every text to 77 tokens. In its towers a token attends to those before it only, and the feature is read at the
token that ends the text: what stands behind cannot change it. Class names in a sentence have about ten tokens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from open_clip.model import CLIP
from torch import Tensor, nn


def is_causal(model: nn.Module) -> bool:
    """Whether padding behind a text cannot change its feature, and the model is built in the way that is known here."""
    return type(model) is CLIP and model.attn_mask is not None and model.text_pool_type == "argmax"


def text_lengths(tokens: Tensor) -> Tensor:
    """Where each text ends, counted in tokens; the token that ends a text has the highest number: (n, L) -> (n,)."""
    return tokens.argmax(dim=-1) + 1


@contextlib.contextmanager
def for_length(model: nn.Module, length: int) -> Iterator[None]:
    """Let a tower that `is_causal` take texts of so many tokens; others stay as they are.

    open_clip adds the vectors of all 77 places, so those of the first `length` places stand in for them meanwhile.
    """
    if not is_causal(model):
        yield
        return
    parameters: dict[str, Any] = model._parameters
    buffers: dict[str, Any] = model._buffers
    places, mask = parameters["positional_embedding"], buffers["attn_mask"]
    parameters["positional_embedding"], buffers["attn_mask"] = places[:length], mask[:length, :length]
    try:
        yield
    finally:
        parameters["positional_embedding"], buffers["attn_mask"] = places, mask
