"""The command `oodlib`."""
