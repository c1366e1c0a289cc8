"""What the three small towers are taught with: the drawings of EmojiShift's pretraining hands, and their concepts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from oodlib.datasets import emojishift
from oodlib.datasets.images import read_image


@dataclass(frozen=True)
class Drawings:
    """Drawings in memory.

    Parameters
    ----------
    pictures : Tensor
        uint8, shape (N, 3, 128, 128).
    concept : Tensor
        int64, shape (N,): the place of each drawing's concept among all.
    flip : Tensor
        bool, shape (N,): whether its mirror image still shows it; those of symbols may not.
    watched : Tensor
        int64 indices of drawings that are not taught, one of a concept, to watch training by.
    """

    pictures: Tensor
    concept: Tensor
    flip: Tensor
    watched: Tensor

    @property
    def n_concepts(self) -> int:
        """How many concepts there are."""
        return int(self.concept.max()) + 1

    @property
    def taught(self) -> Tensor:
        """Indices of the other drawings."""
        keep = torch.ones(len(self.concept), dtype=torch.bool)
        keep[self.watched] = False
        return keep.nonzero().flatten()


def drawings(limit: int | None = None, n_watched: int = 200, home: Path | None = None) -> Drawings:
    """Read the drawings of the pretraining hands; concepts that are held out of pretraining are not among them.

    Parameters
    ----------
    limit : int, optional
        Number of concepts, spread evenly, for a miniature.
    n_watched : int
        At most so many drawings to watch by, spread evenly over the concepts that have three or more, and no more than
        every fourth such concept.
    home : Path, optional
        Cache folder; by default `OODLIB_HOME` or the platform's user cache folder.
    """
    manifest = emojishift.load(home)
    part = manifest.select(manifest.table["split"] == "pretraining")
    if limit is not None:
        every = sorted(part.table["concept"].unique())
        part = part.select(part.table["concept"].isin(every[:: -(-len(every) // limit)]))
    _, concept, counts = np.unique(part.table["concept"], return_inverse=True, return_counts=True)
    common = np.flatnonzero(counts >= 3)
    chosen = common[:: max(4, -(-len(common) // n_watched))]
    rows = [np.flatnonzero(concept == k) for k in chosen]
    # Another hand's each time, so that no hand is watched alone.
    watched = [found[place % len(found)] for place, found in enumerate(rows)]
    read = [np.asarray(read_image(file)) for file in part.files()]
    return Drawings(
        pictures=torch.from_numpy(np.stack(read)).permute(0, 3, 1, 2).contiguous(),
        concept=torch.from_numpy(concept),
        flip=torch.tensor((part.table["group"] != "symbols").tolist()),
        watched=torch.tensor(watched),
    )
