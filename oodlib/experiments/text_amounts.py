"""The amounts of the pages on texts, and on pictures with their texts (`oodlib.experiments.amounts`)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oodlib.experiments.profile_parts import Count, Strict


class OfSentences(Strict):
    """The page `sentences`, which encodes every text twice.

    Attributes
    ----------
    train, test : int
        Definitions that detectors learn from, and ID definitions of the test.
    per_set : int
        Texts of each OOD set, and of both sides of a length-matched one, at most.
    matched_from : int
        Texts of a set that length-matched ones are looked for among.
    length : int
        Tokens of a text that are read, and to which the padded reading pads.
    seeds, epochs : int
        Of the trainings.
    """

    train: Count = 1200
    test: Count = 200
    per_set: Count = 100
    matched_from: Count = 1500
    length: Annotated[int, Field(ge=8)] = 64
    seeds: Count = 3
    epochs: Count = 10


class OfPseudoOOD(Strict):
    """The page `pseudo_ood`, on texts.

    Attributes
    ----------
    seeds : int
        How often everything is trained.
    epochs : int
        Of every training.
    per_class : int
        Texts of each class that are trained on.
    changed : int
        Texts of each class that outliers are made from.
    held : int
        ID texts that give the margin.
    tested, of_a_set : int
        ID texts of the test, and texts of each OOD set.
    real : int
        Real outliers from each of two sets.
    left_out : list of str
        Sets of the benchmark that are not among the tests.
    """

    seeds: Count = 2
    epochs: Count = 10
    per_class: Count = 300
    changed: Count = 50
    held: Count = 300
    tested: Count = 500
    of_a_set: Count = 200
    real: Count = 125
    left_out: list[str] = Field(default=["french-keywords", "japanese-keywords"])


class OfPicturesWithText(Strict):
    """The page `pictures_with_text`.

    Attributes
    ----------
    concepts : int or None
        ID concepts, and new ones, at most; None takes all.
    shares : list of float
        Labelled OOD pairs of each scenario, as shares of the pairs of training; the first is that of all comparisons.
    seeds, epochs : int
        How often everything is trained, and passes over the pairs.
    """

    concepts: Annotated[int, Field(ge=8)] | None = None
    shares: list[Annotated[float, Field(gt=0, lt=0.3)]] = Field(default=[0.01, 0.03, 0.1], min_length=1)
    seeds: Count = 3
    epochs: Count = 30
