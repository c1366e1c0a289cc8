"""Training on kept features of texts: a classifier whose features move, by losses that language models are tuned with.

Apart from the tuners of pictures, because texts have no class prototypes beside them: the head starts from nothing.
"""

from oodlib.tuning.texts.classifier import Stage, TextClassifier
from oodlib.tuning.texts.losses import margin, released_contrast

__all__ = ["Stage", "TextClassifier", "margin", "released_contrast"]
