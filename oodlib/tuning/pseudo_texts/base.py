"""What a source of changed texts is given, which words matter, and what it gives."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from oodlib.errors import OodlibError
from oodlib.tuning.sources import Known, Source

LONGEST = 64  # words of a text that are left out one after the other; a text of more has the rest at importance 0


@dataclass(frozen=True, eq=False, kw_only=True)
class KnownTexts(Known):
    """Labelled texts beside their features, and the model that made these.

    Parameters
    ----------
    texts : sequence of str
        N texts.
    encode : callable
        From a list of n texts to their features (n, D), a tensor or an array, made as `features` were.
    logits : callable
        From features (n, D) to the logits of a classifier (n, C), where `labels` are places among the C classes.

    Raises
    ------
    OodlibError
        If there is not one text for each label, besides what `Known` refuses.
    """

    texts: Sequence[str]
    encode: Callable[[list[str]], Any]
    logits: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        """Check that there is a text for each label."""
        super().__post_init__()
        if isinstance(self.texts, str) or len(self.texts) != len(self.labels):
            raise OodlibError(f"{len(self.labels)} labels need as many texts: pass a list with one for each.")

    @cached_property
    def words(self) -> list[list[str]]:
        """Each text cut at white space; an empty one has none."""
        return [text.split() for text in self.texts]

    @cached_property
    def importance(self) -> list[Tensor]:
        """How much the logit of a text's class falls when a word is left out: a number for each word of each text.

        Leaving words out one after the other asks the model itself, and takes a pass over a text for each of its words.
        A single word cannot be left out, and has 0.
        """
        tried = [min(len(words), LONGEST) if len(words) > 1 else 0 for words in self.words]
        shorter = [
            " ".join(words[:k] + words[k + 1 :])
            for words, count in zip(self.words, tried, strict=True)
            for k in range(count)
        ]
        rows = torch.arange(len(tried)).repeat_interleave(torch.tensor(tried))
        falls = self._own_logits(self.features, self.labels)[rows]
        if shorter:
            falls = falls - self._own_logits(self.encoded(shorter), self.labels[rows])
        return [
            torch.cat([part, part.new_zeros(len(words) - len(part))])
            for words, part in zip(self.words, falls.split(tried), strict=True)
        ]

    def encoded(self, texts: list[str]) -> Tensor:
        """Features of some texts: (n, D)."""
        return torch.as_tensor(self.encode(texts)).to(self.features)

    def _own_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """The logit of each row's class: (n, D) -> (n,)."""
        logits = self.logits(features)
        if int(labels.max()) >= logits.shape[1]:
            raise OodlibError(f"a label is {int(labels.max())}, and there are logits of {logits.shape[1]} classes.")
        return logits.gather(1, labels[:, None])[:, 0]


class TextSource(Source):
    """A source that changes texts. `change` is the method; `changed` shows what it makes, `make` encodes it.

    Parameters
    ----------
    share : float, default=0.3
        Of a text's words that are changed, at least one word.
    """

    def __init__(self, share: float = 0.3):
        self.share = share

    def make(self, known: Known, n: int, generator: torch.Generator) -> Tensor:
        if not isinstance(known, KnownTexts):
            raise OodlibError(f"{self!r} changes texts: pass KnownTexts(...), which has them beside their features.")
        return known.encoded(list(self.changed(known, n, generator).values()))

    def changed(self, known: KnownTexts, n: int, generator: torch.Generator) -> dict[int, str]:
        """At most n texts of each class, by the rows that they were made from.

        Texts of which nothing would be left, or of which the change leaves all, are left out.

        Raises
        ------
        OodlibError
            If that leaves none, or a parameter is out of its range.
        """
        if not 0 < self.share <= 1:
            raise OodlibError(f"{self!r}: share is above 0 and at most 1.")
        found = {}
        for label in known.labels.unique():
            own = torch.nonzero(known.labels == label).flatten()
            for row in own[torch.randperm(len(own), generator=generator)[:n]].tolist():
                before = known.words[row]
                if before and (after := self.change(known, row, generator)) and after != before:
                    found[row] = " ".join(after)
        if not found:
            raise OodlibError(f"{self!r} cannot change any of the texts: {self.wanted}")
        return found

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What to pass where no text can be changed, to end a sentence with."""

    @abstractmethod
    def change(self, known: KnownTexts, row: int, generator: torch.Generator) -> list[str]:
        """The words of a text, which has some, after the change; none where it cannot be changed."""

    def count(self, words: Sequence[str]) -> int:
        """How many of a text's words are changed."""
        return max(1, round(self.share * len(words)))


def without(words: list[str], places: Tensor) -> list[str]:
    """The words that stand elsewhere; of a single word nothing is left."""
    gone = set(places.tolist())
    return [word for k, word in enumerate(words) if k not in gone]


def most_important(known: KnownTexts, row: int, count: int) -> Tensor:
    """Places of the words of a text whose loss costs its class most: int64 (count,), the first of equals first."""
    return known.importance[row].argsort(descending=True, stable=True)[:count]
