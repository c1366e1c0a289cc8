"""The one exception that a person using the library is meant to read."""


class OodlibError(ValueError):
    """Something a person can mend: the message names the thing and the remedy in one sentence."""
