"""Outliers that are made from labelled texts alone: texts that lost what made them belong to their class.

They keep the contract of `oodlib.tuning.sources`: what `KnownTexts` holds goes in, a bank of features comes out. Since
these are features too, `NPMix` mixes those of texts as it does those of pictures.
"""

from oodlib.tuning.pseudo_texts.base import KnownTexts, TextSource
from oodlib.tuning.pseudo_texts.random_removed import RandomRemoved
from oodlib.tuning.pseudo_texts.words_removed import WordsRemoved
from oodlib.tuning.pseudo_texts.words_replaced import WordsReplaced

__all__ = ["KnownTexts", "RandomRemoved", "TextSource", "WordsRemoved", "WordsReplaced"]
