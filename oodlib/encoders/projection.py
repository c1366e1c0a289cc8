"""A text tower's output before its projection, which a "no" head starts from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn


@contextlib.contextmanager
def without_projection(model: nn.Module) -> Iterator[None]:
    """Let `model.encode_text` give what its text tower gives before the projection to the shared space.

    open_clip has it under two names: `proj`, a module, in towers of Hugging Face, and `text_projection`, which may be
    None, in its own. Where the tower is no part by itself, the model holds it.
    """
    tower: Any = getattr(model, "text", model)
    name, none = ("proj", nn.Identity()) if hasattr(tower, "proj") else ("text_projection", None)
    kept = getattr(tower, name)
    setattr(tower, name, none)
    try:
        yield
    finally:
        setattr(tower, name, kept)
