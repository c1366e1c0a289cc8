"""How well a score tells ID from OOD: metrics with intervals, thresholds, and tables of results."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
