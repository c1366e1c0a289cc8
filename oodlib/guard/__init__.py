"""Decisions about a person's own pictures: a detector with its words, its cut and the encoder that they belong to."""
