"""What is said to a text tower: named sets of templates, those of the papers among them, and what a model declares."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
