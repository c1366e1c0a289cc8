"""From results to what a page shows: tables, figures and maps."""

from oodlib.errors import naming_extras

with naming_extras():
    import matplotlib  # noqa: F401 (every module here draws, or writes for a page that does)
