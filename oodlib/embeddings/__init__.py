"""Features of pictures and of texts: computed once, kept, and read again."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
