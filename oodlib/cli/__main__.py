"""`python -m oodlib.cli`."""

from oodlib.cli.main import app

app()
