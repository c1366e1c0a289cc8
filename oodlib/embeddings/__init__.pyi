from .embedding import Embeddings as Embeddings
from .embedding import embed as embed
from .texts import embed_texts as embed_texts
