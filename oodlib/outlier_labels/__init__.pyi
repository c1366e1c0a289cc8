from .lexicon import Lexicon as Lexicon
from .phrases import superclass_phrases as superclass_phrases
