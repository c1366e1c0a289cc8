from .encoder import Encoder as Encoder
from .load import load_encoder as load_encoder
from .text_encoder import TextEncoder as TextEncoder
