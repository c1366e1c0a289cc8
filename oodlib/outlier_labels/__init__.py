"""Words for what is not one of the classes: lexicons, phrases, and names that a language model envisions.

On the pages about outlier words all methods share the text features of one set of prompts, where their papers have a
set each, so that the methods differ in what they do and a vocabulary is encoded once.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
