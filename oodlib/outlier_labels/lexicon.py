"""A lexicon of outlier words: encoded once for a model, then added to any classes, without the names of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oodlib.arrays import join
from oodlib.concepts import Concepts
from oodlib.datasets.wordnet import normal
from oodlib.embeddings.texts import embed_texts

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Outlier words with their text features.

    Parameters
    ----------
    words : tuple of str
        K words.
    kinds : tuple of str
        "noun" or "adjective", one a word.
    text : Tensor or array
        (K, D), L2-normalised.
    """

    words: tuple[str, ...]
    kinds: tuple[str, ...]
    text: Any

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def encode(
        cls,
        encoder: Encoder | LightEncoder,
        words: Mapping[str, Sequence[str]],
        templates: Mapping[str, Sequence[str]],
        *,
        home: Path | None = None,
    ) -> Lexicon:
        """Encode words kind by kind, each kind with its own templates; features are kept.

        >>> Lexicon.encode(encoder, {"noun": ["cup"]}, {"noun": ["a photo of a {}"]})  # doctest: +SKIP
        """
        parts = [embed_texts(encoder, list(words[kind]), list(templates[kind]), home=home) for kind in words]
        return cls(
            tuple(word for kind in words for word in words[kind]),
            tuple(kind for kind in words for _ in words[kind]),
            join(parts),
        )

    def subset(self, rows: Iterable[int]) -> Lexicon:
        """Return some of the words, by place."""
        chosen = [int(row) for row in rows]
        return Lexicon(tuple(self.words[i] for i in chosen), tuple(self.kinds[i] for i in chosen), self.text[chosen])

    def only(self, kind: str) -> Lexicon:
        """Return the words of one kind."""
        return self.subset([i for i, found in enumerate(self.kinds) if found == kind])

    def add_to(self, concepts: Concepts) -> Concepts:
        """Return the same concepts with the words as outlier labels.

        Words that *are* class names, whatever their case, hyphens or underscores, are left out.
        """
        own = {normal(name) for name in concepts.names}
        kept = self.subset([i for i, word in enumerate(self.words) if normal(word) not in own])
        return replace(concepts, outlier_names=kept.words, outlier_text=kept.text, outlier_kinds=kept.kinds)
