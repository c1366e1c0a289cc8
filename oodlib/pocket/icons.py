"""More names with pictures: open icon sets, as far as WordNet says that their names are things one can see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from oodlib.datasets.emoji_sources import Emoji, Hand
from oodlib.datasets.wordnet import THINGS, select, wordnet

# Sets whose drawings follow Unicode's emoji, under its names: two more hands that only teach.
EMOJI_SETS = ("emojione-monotone", "streamline-emojis")
# Sets with names of their own. None is drawn after a benchmark hand.
ICON_SETS = (
    "flat-color-icons",
    "game-icons",
    "icon-park",
    "mdi",
    "ph",
    "streamline-flex-color",
    "streamline-kameleon-color",
    "streamline-plump-color",
    "streamline-stickies-color",
    "streamline-ultimate-color",
)
# Words of a name that tell how it is drawn, not what.
_MANNER = {
    *("flat", "outline", "outlined", "bold", "light", "thin", "fill", "filled", "duotone", "line", "solid", "simple"),
    *("one", "two", "three", "four", "five", "variant", "regular", "color", "circle", "square", "off", "on", "alt"),
}
_SKIP = ("-thin", "-light", "-bold", "-off", "-off-outline")  # nearly equal to another drawing, or struck through


def clean(name: str) -> str:
    """A drawing's file name as a caption: words without numbers and without how it is drawn."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if len(word) > 1 and word not in _MANNER]
    return " ".join(words)


def things() -> frozenset[str]:
    """Names of things one can see."""
    return frozenset(select(wordnet("noun"), THINGS))


def shows_unseen(name: str, unseen: Iterable[str]) -> bool:
    """Whether a name holds all words of a name that pretraining must not see, or consists of such words only."""
    words = set(name.split())
    return any(words <= (other := set(re.findall(r"[a-z]+", secret.lower()))) or other <= words for secret in unseen)


def icons(unseen: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    """(set, name, SVG) of every icon called by the noun of a thing; where a set describes, by a phrase ending in one.

    Parameters
    ----------
    unseen : sequence of str
        Names that pretraining must not see: icons that may show them are left out.
    """
    known = things()
    for package in ICON_SETS:
        hand = Hand(package)
        for key in hand.keys():  # noqa: SIM118
            name = clean(key)
            # Only game-icons describes: in the other sets a phrase that is no noun tends to be a control of a program.
            called = name in known or (package == "game-icons" and name.split()[-1:] and name.split()[-1] in known)
            if not called or key.endswith(_SKIP) or shows_unseen(name, unseen):
                continue
            if svg := hand.svg(key):
                yield package, name, svg


def extra_drawings(concepts: Sequence[Emoji]) -> Iterable[tuple[int, str]]:
    """(concept index, SVG) of the drawings that follow Unicode's emoji in sets without code points."""
    for package in EMOJI_SETS:
        hand = Hand(package)
        for index, concept in enumerate(concepts):
            key = hand.key(concept, concept.slugs)
            if key and (svg := hand.svg(key)):
                yield index, svg
