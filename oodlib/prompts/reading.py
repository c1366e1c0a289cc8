"""What a text tower reads of a text: the tokenizer, not the count of letters, decides what is known and what is cut."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """The tokens of a text, as the tower gets them.

    Parameters
    ----------
    ids : tuple of int
        Those that decide the feature: texts of the same ids have the same feature.
    unknown : int
        How many of them stand for something that the vocabulary lacks.
    cut : bool
        Whether the text is longer than the tower reads, so that its end is lost.
    """

    ids: tuple[int, ...]
    unknown: int
    cut: bool
