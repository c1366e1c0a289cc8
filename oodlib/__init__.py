"""oodlib: out-of-distribution detection with vision-language models."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from oodlib.guard.guard import Guard as Guard
    from oodlib.guard.guard import detect as detect

__version__ = "0.1.0"

# Both names are there at once; what they need is loaded when one is used.
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"guard.guard": ["Guard", "detect"]})
