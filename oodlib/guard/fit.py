"""From class names to a fitted detector, with outlier words where the method asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from oodlib.arrays import as_numpy, normalize
from oodlib.concepts import Concepts
from oodlib.datasets.synonyms import synonyms
from oodlib.datasets.wordnet import default_words, normal
from oodlib.detectors import Detector, name_of
from oodlib.embeddings.texts import embed_texts
from oodlib.errors import OodlibError
from oodlib.guard.labels import check_labels
from oodlib.outlier_labels.lexicon import Lexicon

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

SAME = 1 - 1e-5  # cosine of two texts that a tower reads as one, such as cafe with and without its accent


def check_outliers(detector: Detector, outliers: Sequence[str] | None) -> list[str] | None:
    """The outlier words that a person names, in order; None where there are none.

    Raises
    ------
    OodlibError
        If one is bad, or the method uses no outlier words.
    """
    if outliers is None:
        return None
    if "outlier_text" not in detector.requires:
        raise OodlibError(
            f"{name_of(detector)} uses no outlier words: leave yours (outliers=..., --outliers) out, or choose a "
            "method that does, such as ole"
        )
    return list(check_labels(outliers, "outlier word"))


def fit_names(
    detector: Detector,
    concepts: Concepts,
    encoder: Encoder | LightEncoder,
    prompts: tuple[str, ...],
    outliers: Sequence[str] | None,
) -> tuple[Detector, Concepts]:
    """Fit to the classes; if the method then asks for outlier words, fit to classes and words.

    Parameters
    ----------
    detector : Detector
    concepts : Concepts
        Names and their features, and what else the encoder makes of names.
    encoder : Encoder or LightEncoder
    prompts : tuple of str
        Templates of the outlier words.
    outliers : sequence of str or None
        The words; by default the method's own (`Detector.default_words`), else `default_words`.

    Returns
    -------
    (Detector, Concepts)
        The fitted detector, and what it was fitted to.

    Raises
    ------
    OodlibError
        If the method needs more than words, or gives every picture the same score.
    """
    name = name_of(detector)
    if "no_text" in detector.requires and concepts.no_text is None:
        raise OodlibError(f"{name} needs a 'no' text tower, which this encoder lacks: choose another method")
    if "shots" in detector.requires:
        raise OodlibError(f"{name} learns from labelled pictures, not from words: choose another method")
    if "patches" in detector.requires:
        raise OodlibError(f"{name} looks at patches, which are not kept: choose another method")
    if "outlier_text" in detector.requires:
        concepts = with_outliers(concepts, _lexicon(encoder, prompts, outliers, detector.default_words))
    detector.fit(concepts)
    check_that_it_tells(detector, concepts)
    return detector, concepts


def _lexicon(
    encoder: Encoder | LightEncoder,
    prompts: tuple[str, ...],
    outliers: Sequence[str] | None,
    default: Sequence[str],
) -> Lexicon:
    words = list(check_labels(outliers if outliers is not None else default or default_words(), "outlier word"))
    return Lexicon(tuple(words), ("noun",) * len(words), embed_texts(encoder, words, prompts))


def with_outliers(concepts: Concepts, lexicon: Lexicon) -> Concepts:
    """Add outlier words to classes, without the words that name a class or a synonym of one, or are read as one."""
    taken = frozenset[str]().union(*map(synonyms, concepts.names))
    nearest = (as_numpy(lexicon.text) @ as_numpy(concepts.text).T).max(1)
    words = enumerate(lexicon.words)
    kept = lexicon.subset([row for row, word in words if normal(word) not in taken and nearest[row] < SAME])
    if not len(kept):
        raise OodlibError("every outlier word names one of the classes: pass words for other things")
    return kept.add_to(concepts)


def check_that_it_tells(detector: Detector, concepts: Concepts) -> None:
    """Refuse a method that gives every picture the same score, as a softmax over one class does."""
    if len(concepts.names) > 1:
        return
    noise = np.random.default_rng(0).standard_normal((15, concepts.text.shape[1]), dtype=np.float32)
    scores = detector.score_samples(np.concatenate([np.asarray(concepts.text), normalize(noise)]))
    if np.allclose(scores, scores[0], rtol=0, atol=1e-6):
        raise OodlibError(
            f"with {concepts.names[0]!r} alone {name_of(detector)} scores every picture the same: add a class, or "
            "choose a method that needs no second one, such as max_logit or outlier_softmax"
        )
