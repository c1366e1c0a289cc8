"""What PocketCLIP is taught with: the pretraining hands' pictures, restyled, and several captions a concept."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oodlib.datasets.emoji_sources import PRETRAINING_HANDS, Emoji, all_slugs, emoji, hands
from oodlib.datasets.emojishift import GROUPS, draw, held_out

# Smileys and people are never part of the benchmark; they widen the vocabulary.
TRAINING_GROUPS = ("smileys-emotion", "people-body", *GROUPS)

# Redrawing an SVG with other strokes and fills is what another hand does to it. The selector leaves clip paths alone.
_SHAPES = "path,circle,ellipse,rect,polygon,polyline"
STYLES = {
    "as drawn": "",
    "outlined": _SHAPES + "{{stroke:#000000;stroke-width:{width};stroke-linejoin:round}}",
    "line art": _SHAPES + "{{fill:#ffffff;stroke:#000000;stroke-width:{width};stroke-linejoin:round}}",
}

TEMPLATES = (
    "{}",
    "a photo of a {}",
    "a picture of a {}",
    "a drawing of a {}",
    "an emoji of a {}",
    "an icon of a {}",
    "the {}",
)


@dataclass(frozen=True)
class Corpus:
    """Pictures and captions for contrastive training.

    Parameters
    ----------
    pictures : Tensor
        uint8, shape (N, S, 3, H, W): every picture in S styles, the first as drawn.
    concept : Tensor
        int64, shape (N,): which concept each picture shows.
    flip : Tensor
        bool, shape (N,): whether its mirror image still shows it (arrows and letters do not).
    captions : list of list of str
        Captions of each concept.
    validation : Tensor
        int64 indices of pictures kept out of training, to watch it by.
    """

    pictures: Tensor
    concept: Tensor
    flip: Tensor
    captions: list[list[str]]
    validation: Tensor

    @property
    def training(self) -> Tensor:
        """Indices of the pictures to train on."""
        keep = torch.ones(len(self.concept), dtype=torch.bool)
        keep[self.validation] = False
        return keep.nonzero().flatten()


def captions(concept: Emoji, rng: random.Random, count: int = 24) -> list[str]:
    """Draw captions the way the web writes alt text: mostly the name, sometimes with a keyword or two beside it."""
    names = [concept.name.lower(), concept.name.lower(), concept.name.lower()]
    for _ in range(3):
        words = rng.sample(concept.keywords, min(len(concept.keywords), rng.choice((1, 2))))
        names.append(", ".join([concept.name.lower(), *words]))
    return [rng.choice(TEMPLATES).format(rng.choice(names)) for _ in range(count)]


def _draw_styles(svg: str) -> np.ndarray:
    """One SVG in every style, uint8 (S, 3, H, W)."""
    box = [float(x) for x in svg.split('viewBox="', 1)[1].split('"', 1)[0].split()]
    pictures = []
    for style in STYLES.values():
        # A stroke of 2.5 % of the side, about that of line-art sets.
        sheet = f"<style>{style.format(width=0.025 * box[2])}</style>" if style else ""
        head, body = svg.split(">", 1)
        pictures.append(np.asarray(draw(f"{head}>{sheet}{body}")).transpose(2, 0, 1))
    return np.stack(pictures)


def corpus(
    seed: int = 0, n_validation: int = 200, groups: Sequence[str] = TRAINING_GROUPS, limit: int | None = None
) -> Corpus:
    """Draw the corpus from the npm packages: benchmark hands and held-out concepts are never read.

    Parameters
    ----------
    seed : int
        Draws captions and validation pictures.
    n_validation : int
        Pictures to keep out of training.
    groups : sequence of str
        Unicode groups to take concepts from.
    limit : int, optional
        Number of concepts, for a miniature.

    Returns
    -------
    Corpus
    """
    rng = random.Random(seed)
    everything = emoji(tuple(groups))
    unseen = held_out([concept for concept in everything if concept.group in GROUPS])
    concepts = [concept for concept in everything if concept.code not in unseen and not _variant(concept)]
    if limit is not None:
        concepts = sorted(rng.sample(concepts, limit), key=lambda concept: concept.code)
    rows = list(_drawings(concepts))
    with ProcessPoolExecutor(2) as pool:
        pictures = torch.from_numpy(np.stack(list(pool.map(_draw_styles, (svg for _, svg in rows), chunksize=16))))
    owner = torch.tensor([index for index, _ in rows])
    # A validation picture's concept keeps other pictures in training, so that only the picture is new.
    common = [i for i, c in enumerate(owner.tolist()) if int((owner == c).sum()) >= 3]
    firsts = {owner[i].item(): i for i in rng.sample(common, len(common))}
    validation = torch.tensor(sorted(rng.sample(sorted(firsts.values()), min(n_validation, len(firsts)))))
    return Corpus(
        pictures=pictures,
        concept=owner,
        flip=torch.tensor([concepts[index].group != "symbols" for index, _ in rows]),
        captions=[captions(concept, rng) for concept in concepts],
        validation=validation,
    )


def _variant(concept: Emoji) -> bool:
    """Whether it is the woman or the man of a person listed without gender: hundreds of nearly equal drawings."""
    return concept.group == "people-body" and "-200d-" in concept.code


def _drawings(concepts: Sequence[Emoji]) -> Iterable[tuple[int, str]]:
    """(concept index, SVG) of every drawing in the pretraining hands."""
    for index, concept in enumerate(concepts):
        slugs = all_slugs(concept)
        for hand in hands():
            if hand.name in PRETRAINING_HANDS and (key := hand.key(concept, slugs)) and (svg := hand.svg(key)):
                yield index, svg
