"""PocketCLIP: a small, real vision-language model that needs nothing but package registries.

`assemble` puts the model directory together, `train` is the recipe that made the shipped weights.
"""
