"""Texts without the words that their class hangs on."""

from __future__ import annotations

import torch

from oodlib.tuning.pseudo_texts.base import KnownTexts, TextSource, most_important, without


class WordsRemoved(TextSource):
    """A text without the share of its words that matter most to its class.

    A word matters as much as the logit of the class falls without it (`KnownTexts.importance`). That importance and the
    share are ours.

    Parameters
    ----------
    share : float, default=0.3
        Of the words; one stays in any case.
    """

    wanted = "a word can be removed where there are two, so pass texts of two words at least."

    def change(self, known: KnownTexts, row: int, generator: torch.Generator) -> list[str]:
        words = known.words[row]
        return without(words, most_important(known, row, min(self.count(words), len(words) - 1)))
