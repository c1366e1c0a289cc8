"""Texts with words of other classes in the places that their class hangs on."""

from __future__ import annotations

import torch

from oodlib.tuning.pseudo_texts.base import KnownTexts, TextSource, most_important


class WordsReplaced(TextSource):
    """A text in which words of other classes stand for the share of its words that matter most to its class.

    A word comes from the same place of a random text of another class, or from the end of one that is shorter, so that
    the text keeps its length and, as far as places go, its grammar. All of it is ours.

    Parameters
    ----------
    share : float, default=0.3
        Of the words.
    """

    wanted = "words come from another class, so pass texts of two classes, with other words."

    def change(self, known: KnownTexts, row: int, generator: torch.Generator) -> list[str]:
        words = list(known.words[row])
        others = [known.words[k] for k in torch.nonzero(known.labels != known.labels[row]).flatten().tolist()]
        for place in most_important(known, row, self.count(words)).tolist():
            found = [other[min(place, len(other) - 1)] for other in others if other]
            found = [word for word in found if word != words[place]]
            if found:
                words[place] = found[int(torch.randint(len(found), (), generator=generator))]
        return words
