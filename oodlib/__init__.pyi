from .guard.guard import Guard as Guard
from .guard.guard import detect as detect

__version__: str
