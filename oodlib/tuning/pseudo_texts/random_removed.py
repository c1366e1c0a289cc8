"""Texts without some words, whichever: what removal does of itself."""

from __future__ import annotations

import torch

from oodlib.tuning.pseudo_texts.base import KnownTexts, TextSource, without


class RandomRemoved(TextSource):
    """A text without as many words as `WordsRemoved` takes, drawn at random: the control to it.

    Where both do the same, it is the hole in the text that a training learns from, and not the class that is gone.

    Parameters
    ----------
    share : float, default=0.3
        Of the words; one stays in any case.
    """

    wanted = "a word can be removed where there are two, so pass texts of two words at least."

    def change(self, known: KnownTexts, row: int, generator: torch.Generator) -> list[str]:
        words = known.words[row]
        drawn = torch.randperm(len(words), generator=generator)
        return without(words, drawn[: min(self.count(words), len(words) - 1)])
