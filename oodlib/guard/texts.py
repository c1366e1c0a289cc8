"""How well a picture fits a text, beside how well it fits words that have nothing to do with it.

A cosine alone says little: what is high for one picture and one model is low for another. So the text is held against
the 2,000 everyday nouns that stand for everything (`oodlib.datasets.wordnet.default_words`), in the same prompts. Its
*fit* is the share of them that fit the picture less well. A text that has no more to do with the picture than a noun
drawn at random is as likely to stand anywhere among them, so that it reaches a fit of 0.95 at most 5 times in 100: one
minus the fit is a conformal p-value. No label is asked for, and no pair changes the answer of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.arrays import as_numpy
from oodlib.datasets.synonyms import synonyms
from oodlib.datasets.wordnet import default_words, normal
from oodlib.embeddings.texts import embed_texts
from oodlib.guard.fit import SAME

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

NEEDED = 0.95  # fit from which on a text matches its picture
_BLOCK = 4096  # pairs compared at once: 33 MB of cosines


def clean(text: str) -> str:
    r"""A text with single spaces; "" where nothing of it can be seen.

    >>> clean(" a  cat\non a mat "), clean("\u200b \x00")
    ('a cat on a mat', '')
    """
    words = " ".join(text.split())
    return words if any(letter.isprintable() and not letter.isspace() for letter in words) else ""


def problems(encoder: Encoder | LightEncoder, texts: Sequence[str]) -> list[str]:
    """Why a model can make nothing of each text, "" where it can."""
    *read, empty = encoder.read_texts([*texts, ""])
    found = []
    for text, reading in zip(texts, read, strict=True):
        length = len(reading.ids) - len(empty.ids)
        if not text:
            found.append("there is no text: write what the picture shows")
        elif reading.ids == empty.ids or (reading.unknown and reading.unknown == length):
            found.append(
                f"{encoder.spec['model']} cannot read the text, of which its vocabulary has nothing: write it in a "
                "language that the model knows"
            )
        else:
            found.append("")
    return found


def read_in_part(encoder: Encoder | LightEncoder, texts: Sequence[str]) -> list[str]:
    """What a model leaves of texts that are too long for it, "" where it reads all."""
    return [
        f"of the text {encoder.spec['model']} reads the first {len(reading.ids)} tokens" if reading.cut else ""
        for reading in encoder.read_texts(list(texts))
    ]


def fits(
    encoder: Encoder | LightEncoder, pictures: Any, texts: Sequence[str], templates: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """How pictures fit their texts.

    Parameters
    ----------
    encoder : Encoder or LightEncoder
    pictures : Tensor or array
        (n, D), L2-normalised.
    texts : sequence of str
        n, as `clean` gives them, none of them empty.
    templates : sequence of str
        Prompts around texts and nouns.

    Returns
    -------
    fit : array of shape (n,)
        The share of nouns whose cosine with the picture is below that of its text, in [0, 1]; larger = fits better.
        Nouns that mean the text or are read as it do not count.
    cosines : array of shape (n,)
        Of pictures and texts.
    rivals : list of str
        The noun that fits each picture best, among those that count.
    """
    nouns = default_words()
    known = as_numpy(embed_texts(encoder, nouns, templates))
    distinct = list(dict.fromkeys(texts))
    encoded = as_numpy(embed_texts(encoder, distinct, templates))
    same = encoded @ known.T >= SAME
    place = {normal(noun): k for k, noun in enumerate(nouns)}
    for row, text in enumerate(distinct):
        same[row, [place[word] for word in {normal(text), *synonyms(text)} if word in place]] = True
    row_of = {text: row for row, text in enumerate(distinct)}
    rows, shown = np.array([row_of[text] for text in texts]), as_numpy(pictures)
    cosines = (shown * encoded[rows]).sum(1)
    fit, rivals = np.empty(len(rows)), []
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        others = np.where(same[rows[part]], np.nan, shown[part] @ known.T)
        fit[part] = (others < cosines[part, None]).sum(1) / np.isfinite(others).sum(1)
        rivals += [nouns[k] for k in np.nanargmax(others, axis=1)]
    return fit, cosines, rivals
