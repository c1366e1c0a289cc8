"""oodlib: out-of-distribution detection with vision-language models."""

import lazy_loader

__version__ = "0.1.0"

# The names that the stub imports are there at once; their modules are loaded when one is used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
