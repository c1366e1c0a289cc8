"""What decides PocketCLIP's weights: the settings of `oodlib.pocket.train`, which can be read without torch."""

from __future__ import annotations

from dataclasses import dataclass

from oodlib.pocket import assemble


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights, besides the packages.

    `icons` of a batch's pictures come from icon sets, the others from emoji sets. `side` is theirs in pixels. `smooth`
    is the share of every picture's target that is spread over all names; `drop` and `drop_path` are those of
    `oodlib.pocket.start.untrained`. `leave_out` concepts are kept out of training to choose between recipes by; what is
    shipped leaves out none.
    """

    steps: int = 2200
    batch: int = 96
    icons: int = 24
    seed: int = 0
    side: int = assemble.IMAGE_SIZE
    warmup: int = 100
    lr_trunk: float = 9e-4
    lr_head: float = 3e-3
    lr_text: float = 5e-4
    weight_decay: float = 0.05
    smooth: float = 0.1
    drop: float = 0.4
    drop_path: float = 0.2
    average: float = 0.99
    concepts: int = 0  # 0: all
    leave_out: int = 0
