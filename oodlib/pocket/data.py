"""What PocketCLIP is taught with: the pretraining hands' pictures, restyled, and several captions a concept."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from oodlib.datasets.emoji_sources import PRETRAINING_HANDS, Emoji, all_slugs, emoji, hands
from oodlib.datasets.emojishift import GROUPS, draw, held_out
from oodlib.pocket.icons import extra_drawings, icons

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
ICON_TEMPLATES = ("{}", "an icon of a {}", "a drawing of a {}")


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
    unseen : Tensor
        int64 indices of the pictures of concepts kept out of training, to choose between recipes by.
    icon : Tensor
        bool, shape (N,): whether the picture is from an icon set, not from an emoji set.
    """

    pictures: Tensor
    concept: Tensor
    flip: Tensor
    captions: list[list[str]]
    validation: Tensor
    unseen: Tensor
    icon: Tensor

    def training(self, icon: bool) -> Tensor:
        """Indices of the icons, or of the emoji, to train on."""
        keep = self.icon == icon
        keep[self.validation] = False
        keep[self.unseen] = False
        return keep.nonzero().flatten()


def captions(concept: Emoji, rng: random.Random, count: int = 24) -> list[str]:
    """Draw captions the way the web writes alt text: mostly the name, sometimes with a keyword or two."""
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
    seed: int = 0,
    n_validation: int = 200,
    groups: Sequence[str] = TRAINING_GROUPS,
    limit: int | None = None,
    leave_out: int = 0,
) -> Corpus:
    """Draw the corpus from the npm packages, emoji first, then icons.

    Benchmark hands and held-out concepts are never read, nor icons whose names may stand for a held-out concept.

    Parameters
    ----------
    seed : int
        Draws captions and validation pictures.
    n_validation : int
        Pictures to keep out of training.
    groups : sequence of str
        Unicode groups to take concepts from.
    limit : int, optional
        Number of emoji concepts, and of icons, for a miniature.
    leave_out : int
        Concepts to keep out of training, and whose pictures to return as `unseen`.

    Returns
    -------
    Corpus
    """
    rng = random.Random(seed)
    everything = emoji(tuple(groups))
    secret = held_out([concept for concept in everything if concept.group in GROUPS])
    concepts = [concept for concept in everything if concept.code not in secret and not _variant(concept)]
    if limit is not None:
        concepts = sorted(rng.sample(concepts, limit), key=lambda concept: concept.code)
    left_out = set(rng.sample(range(len(concepts)), leave_out))
    rows = [*_drawings(concepts), *extra_drawings(concepts)]
    n_emoji = len(rows)
    written = [captions(concept, rng) for concept in concepts]
    hidden = [c.name.lower() for c in everything if c.code in secret]
    hidden += [concepts[index].name.lower() for index in sorted(left_out)]
    index_of = {concept.name.lower(): index for index, concept in enumerate(concepts)}
    for _, name, svg in islice(icons(hidden), limit):
        if name not in index_of:
            index_of[name] = len(written)
            written.append([ICON_TEMPLATES[i % len(ICON_TEMPLATES)].format(name) for i in range(len(written[0]))])
        rows.append((index_of[name], svg))
    with ProcessPoolExecutor(2) as pool:
        pictures = torch.from_numpy(np.stack(list(pool.map(_draw_styles, (svg for _, svg in rows), chunksize=16))))
    owner = torch.tensor([index for index, _ in rows])
    # A validation picture's concept keeps other pictures in training, so that only the picture is new.
    of_hands = owner[:n_emoji].tolist()
    common = [i for i, c in enumerate(of_hands) if c not in left_out and of_hands.count(c) >= 3]
    firsts = {of_hands[i]: i for i in rng.sample(common, len(common))}
    validation = torch.tensor(sorted(rng.sample(sorted(firsts.values()), min(n_validation, len(firsts)))))
    return Corpus(
        pictures=pictures,
        concept=owner,
        flip=torch.tensor([index >= len(concepts) or concepts[index].group != "symbols" for index, _ in rows]),
        captions=written,
        validation=validation,
        unseen=torch.tensor([i for i, c in enumerate(owner.tolist()) if c in left_out], dtype=torch.int64),
        icon=torch.arange(len(rows)) >= n_emoji,
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
