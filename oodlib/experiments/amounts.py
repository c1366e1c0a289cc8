"""How much of everything a run takes beside its pictures: rounds, draws, prototypes, points of a curve.

The defaults are those of a full run, the same for every profile; the `small` block of a profile holds fewer. A page
reads an amount and never asks whether the run is a small one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oodlib.experiments.profile_parts import Count, Strict
from oodlib.experiments.text_amounts import OfPicturesWithText, OfPseudoOOD, OfSentences


class OfProtocols(Strict):
    """At most so much of what a protocol names; None takes all of it.

    Attributes
    ----------
    encoders : int or None
        The first encoders of each protocol.
    sentences : int or None
        The first sentences of each set of prompts.
    words : int or None
        Words of each kind in each of the `lexicons`, spread evenly.
    shots : int or None
        The first numbers of shots.
    views, epochs : int or None
        Random views of each shot, and epochs of whatever trains in epochs.
    taught : int or None
        Pictures of each class that teach a detector on features.
    patches : bool
        Whether scores that read patches are among those of a tuned model: they take a pass over all pictures for each.
    """

    encoders: Count | None = None
    sentences: Count | None = None
    words: Annotated[int, Field(ge=10)] | None = None
    shots: Count | None = None
    views: Count | None = None
    epochs: Count | None = None
    taught: Annotated[int, Field(ge=2)] | None = None
    patches: bool = True


class OfZeroShot(Strict):
    """The page `zero_shot`: `prompt_sets` are the sets of prompts that it asks with, one after the other."""

    prompt_sets: list[str] = Field(
        default=["bare", "photo", "coop-photo", "nice", "emoji", "five", "seven", "drawings"], min_length=1
    )


class OfEmbeddingSpaces(Strict):
    """The page `embedding_spaces`: `words` is how many outlier words its maps show, at most."""

    words: Count = 700


class OfMaskedPictures(Strict):
    """The page `masked_pictures`, which encodes its pictures with several models.

    Attributes
    ----------
    classes : int or None
        ID names, at most; None takes all.
    pictures : int
        Pictures of each OOD set, at most.
    """

    classes: Annotated[int, Field(ge=2)] | None = None
    pictures: Count = 150


class OfOutlierWords(Strict):
    """The page `outlier_words`: `sizes` is how many numbers of words its curve has."""

    sizes: Annotated[int, Field(ge=2)] = 9


class OfOle(Strict):
    """The page `ole`: `prototypes` of the method, and how many where two ways to find them are `compared`."""

    prototypes: Count = 500
    compared: Count = 100


class OfUseIt(Strict):
    """The page `use_it`.

    Attributes
    ----------
    words : int or None
        At most so many of the words that `detect` compares with by default, spread evenly; None takes all.
    command_words : int or None
        So many of them are handed to the command; None lets it take its own.
    draws : int
        Random choices of calibration pictures for each number of them.
    taught : int or None
        At most so many pictures of each class in the labelled folder; None takes all.
    timed, rounds : int
        Pictures of the measurement of time, and how often it is made.
    """

    words: Count | None = None
    command_words: Count | None = None
    draws: Count = 1000
    taught: Count | None = None
    timed: Count = 64
    rounds: Count = 3


class OfScale(Strict):
    """The page `scale`, which measures times.

    Attributes
    ----------
    rounds, large_rounds : int
        How often each time is measured, and that of ViT-B-16.
    files, photographs, camera_files : int
        Files that are read: the run's own, made-up ones of a photograph's size, and of a camera's.
    large_batch : int
        Pictures that ViT-B-16 encodes.
    scored : int
        Features that are scored.
    compared : int
        Pictures of each set that half precision is compared on.
    """

    rounds: Count = 3
    large_rounds: Count = 3
    files: Count = 64
    photographs: Count = 16
    camera_files: Count = 2
    large_batch: Count = 4
    scored: Count = 512
    compared: Count = 60


class OfHowFarOut(Strict):
    """The page `how_far_out`.

    Attributes
    ----------
    per_cell : int
        Concepts in each row of the grid, at most.
    names : int
        Names in the texts that LAID learns from.
    """

    per_cell: Count = 60
    names: Annotated[int, Field(ge=2)] = 200


class OfWithoutLabels(Strict):
    """The page `without_labels`.

    Attributes
    ----------
    sets : int
        Made OOD sets; half fit the indicators, half test them.
    sizes : list of int
        Pictures in a mixture.
    per_cell : int
        As on the page `how_far_out`, whose drawings are among the sets.
    """

    sets: Annotated[int, Field(ge=4)] = 200
    sizes: list[Count] = Field(default=[50, 100, 200, 400], min_length=1)
    per_cell: Count = 60


class OfMadeOutliers(Strict):
    """The page `made_outliers`.

    Attributes
    ----------
    seeds : int
        How often everything is trained.
    steps : int
        Steps of every training, about.
    per_class : int
        Outliers that are made for each class.
    draws : int
        Noise that NPOS puts around a point.
    """

    seeds: Count = 5
    steps: Count = 40
    per_class: Count = 6
    draws: Count = 150


class OfCoursework(Strict):
    """The data of the coursework: of the outlier words of each kind, it has one in so many (`one_in`)."""

    one_in: dict[str, Count] = Field(default={"noun": 2, "adjective": 6})


class Amounts(Strict):
    """The amounts of a profile: a block for each page that has some, one for the protocols, one for the coursework."""

    protocols: OfProtocols = OfProtocols()
    zero_shot: OfZeroShot = OfZeroShot()
    embedding_spaces: OfEmbeddingSpaces = OfEmbeddingSpaces()
    masked_pictures: OfMaskedPictures = OfMaskedPictures()
    outlier_words: OfOutlierWords = OfOutlierWords()
    ole: OfOle = OfOle()
    use_it: OfUseIt = OfUseIt()
    scale: OfScale = OfScale()
    how_far_out: OfHowFarOut = OfHowFarOut()
    without_labels: OfWithoutLabels = OfWithoutLabels()
    made_outliers: OfMadeOutliers = OfMadeOutliers()
    sentences: OfSentences = OfSentences()
    pseudo_ood: OfPseudoOOD = OfPseudoOOD()
    pictures_with_text: OfPicturesWithText = OfPicturesWithText()
    coursework: OfCoursework = OfCoursework()
