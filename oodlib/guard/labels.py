"""Class names that people type: checked, encoded class by class, with their descriptions if there are any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from oodlib.arrays import join, normalize
from oodlib.concepts import as_list
from oodlib.errors import OodlibError
from oodlib.guard.doubtful import WORDNET_ID, same_name
from oodlib.prompts.sets import fill

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder

LONGEST = 200  # characters of a name; a text tower reads some 77 tokens and drops the rest without a word
LONGEST_DESCRIPTION = 1000

Labels = Sequence[str] | Mapping[str, Sequence[str]]


def check_labels(labels: Labels, what: str = "label") -> dict[str, tuple[str, ...]]:
    """Names in order, each with its descriptions.

    Parameters
    ----------
    labels : sequence of str, or mapping of str to sequence of str
        Names, or names with descriptions. White space becomes single spaces.
    what : str
        What messages call one of them.

    Returns
    -------
    dict of str to tuple of str

    Raises
    ------
    OodlibError
        If there is none, or one is empty, no string, too long, or there twice (case, hyphens, underscores and what
        is not seen aside), or is an id of WordNet.

    Examples
    --------
    >>> check_labels(["cat", " sports  car"])
    {'cat': (), 'sports car': ()}
    """
    if isinstance(labels, str):
        raise OodlibError(f"the {what}s must be a list of names, not one string: pass [{labels[:40]!r}]")
    given = labels if isinstance(labels, Mapping) else as_list(labels, f"{what}s")
    entries: Iterable[tuple[Any, Any]] = given.items() if isinstance(given, Mapping) else ((name, ()) for name in given)
    checked: dict[str, tuple[str, ...]] = {}
    seen: dict[str, int] = {}
    for place, (key, described) in enumerate(entries, 1):
        name = _clean(key, f"{what} {place}", LONGEST)
        if (first := seen.setdefault(same_name(name), place)) != place:
            raise OodlibError(f"the {what}s {list(checked)[first - 1]!r} and {name!r} are the same: keep one of them")
        if isinstance(described, str) or not isinstance(described, Iterable | None):
            raise OodlibError(
                f"the descriptions of {name!r} must be a list of sentences: pass [{str(described)[:40]!r}]"
            )
        checked[name] = tuple(
            _clean(line, f"a description of {name!r}", LONGEST_DESCRIPTION) for line in described or ()
        )
        if id_of := next((text for text in (name, *checked[name]) if WORDNET_ID.fullmatch(text)), None):
            raise OodlibError(
                f"{what} {place} has the WordNet id {id_of!r}, which is no name: write what it stands for"
            )
    if not checked:
        raise OodlibError(f"there are no {what}s: pass at least one name")
    return checked


def _clean(text: object, what: str, longest: int) -> str:
    if not isinstance(text, str):
        raise OodlibError(f"{what} is {text!r}: every name must be a string")
    words = " ".join(text.split())
    if not words or not any(letter.isprintable() and not letter.isspace() for letter in words):
        raise OodlibError(f"{what} is empty: leave it out or give it a name")
    if len(words) > longest:
        raise OodlibError(
            f"{what}, which starts {words[:20]!r}, has {len(words):,} characters: text towers read only the first "
            f"few dozen words, so give it at most {longest}"
        )
    return words


def label_prompts(name: str, described: Sequence[str], templates: Sequence[str]) -> list[str]:
    """All texts that stand for a class: its name in every template, and its descriptions."""
    return [*fill([name], templates), *(line.replace("{}", name) for line in described)]


def encode_labels(
    encoder: Encoder | LightEncoder, labels: Mapping[str, Sequence[str]], templates: Sequence[str]
) -> Any:
    """Text feature of each class: the mean over its name in every template and its descriptions, as they are.

    Prompts are normalised, averaged with equal weights and normalised, as `oodlib.prompts.ensemble` does. In a
    description `{}` stands for the name.

    Parameters
    ----------
    encoder : Encoder or LightEncoder
    labels : mapping of str to sequence of str
        As `check_labels` gives them, C classes.
    templates : sequence of str

    Returns
    -------
    Tensor or array
        (C, D) float32, L2-normalised.
    """
    prompts = [label_prompts(name, described, templates) for name, described in labels.items()]
    features = encoder.encode_texts([prompt for group in prompts for prompt in group])
    ends = np.cumsum([len(group) for group in prompts]).tolist()
    means = [features[end - len(group) : end].mean(0)[None] for group, end in zip(prompts, ends, strict=True)]
    return normalize(join(means))
