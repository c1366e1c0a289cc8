"""CSP's phrases: an adjective becomes the name of a kind of thing, because a class is a kind of thing."""

import random
from collections.abc import Sequence

SUPERCLASSES = (
    *("environment", "space", "object", "scene", "place", "item", "area"),
    *("view", "thing", "pattern", "structure", "landscape", "vista", "creature"),
)


def superclass_phrases(adjectives: Sequence[str], seed: int = 0) -> list[str]:
    """Put one of the 14 superclasses, drawn at random, behind each adjective.

    Encode the phrases with the template set "csp-adjective". The draw depends on the order of the words, so sort them
    first where the order may change.

    Parameters
    ----------
    adjectives : sequence of str
    seed : int, default=0
        Of Python's generator, as in the authors' code.

    Returns
    -------
    list of str
        A phrase for each adjective, in their order.

    References
    ----------
    Chen et al., Conjugated Semantic Pool Improves OOD Detection with Pre-trained Vision-Language Models, NeurIPS 2024.

    Examples
    --------
    >>> superclass_phrases(["blue", "wooden"])
    ['blue creature', 'wooden area']
    """
    draw = random.Random(seed)
    return [f"{adjective} {draw.choice(SUPERCLASSES)}" for adjective in adjectives]
