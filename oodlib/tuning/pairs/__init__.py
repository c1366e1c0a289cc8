"""Detectors of pairs: a picture with a text, which can be out by the picture, by the text, or by the two together."""

from oodlib.tuning.pairs.pair_detector import PairDetector

__all__ = ["PairDetector"]
