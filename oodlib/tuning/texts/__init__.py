"""Training on texts: classifiers whose features move, by losses that language models are tuned with.

`TextClassifier` moves kept features by a small map, which is cheap; `TowerClassifier` trains the language model itself.
Apart from the tuners of pictures, because texts have no class prototypes beside them: the head starts from nothing.
"""

from oodlib.tuning.texts.classifier import Stage, TextClassifier
from oodlib.tuning.texts.losses import margin, released_contrast
from oodlib.tuning.texts.tower import TowerClassifier

__all__ = ["Stage", "TextClassifier", "TowerClassifier", "margin", "released_contrast"]
