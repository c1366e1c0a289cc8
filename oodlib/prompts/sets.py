"""Named prompt templates: `{}` stands for the class name, and every set has a name that a result can record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oodlib.arrays import normalize
from oodlib.errors import OodlibError
from oodlib.prompts.papers import CLIPN, COOP, OPENAI_80, ZOC

TEMPLATES: dict[str, tuple[str, ...]] = {
    # The class name alone.
    "bare": ("{}",),
    # MCM, EOE and CLIPScope; no full stop at the end.
    "photo": ("a photo of a {}",),
    # NegLabel's choice among 86.
    "nice": ("the nice {}",),
    # NegLabel's for adjectives; no full stop here either.
    "nice-adjective": ("This is a {} photo",),
    # CSP's ensemble for nouns and classes.
    "csp-noun": (
        "a close-up photo of the nice {}",
        "a photo with the nice {}",
        "a good photo with the nice {}",
        "a photo of the nice {}",
        "{}",
        "the {}",
        "the good {}",
        "the nice {}",
    ),
    # CSP's ensemble for adjectives that `oodlib.outlier_labels.phrases` turned into phrases.
    "csp-adjective": ("{}", "a nice photo of {}", "a good photo of {}", "a close-up photo of {}"),
    # What PocketCLIP's pictures are.
    "emoji": ("an emoji of a {}",),
    # EOE's optional ensemble, also listed (and unused) in MCM's code.
    "five": (
        "a photo of a {}.",
        "a blurry photo of a {}.",
        "a photo of many {}.",
        "a photo of the large {}.",
        "a photo of the small {}.",
    ),
    # The seven that CLIP's authors found best for ImageNet.
    "seven": (
        "itap of a {}.",
        "a bad photo of the {}.",
        "a origami {}.",
        "a photo of the large {}.",
        "a {} in a video game.",
        "art of the {}.",
        "a photo of the small {}.",
    ),
    # Five ways to speak of a drawing.
    "drawings": ("{}", "a picture of a {}", "a drawing of a {}", "an emoji of a {}", "an icon of a {}"),
    # OpenAI's for ImageNet; not the choice of any paper on OOD detection, but of many zero-shot accuracies.
    "openai-80": OPENAI_80,
    # CLIPN's and OLE's, with the quotes that their code leaves in.
    "clipn": CLIPN,
    "zoc": (ZOC,),
    # CoOp's for single datasets, which few-shot methods kept.
    **{name: (template,) for name, template in COOP.items()},
}


def templates(name: str) -> tuple[str, ...]:
    """The templates of a named set.

    Parameters
    ----------
    name : str
        A key of `TEMPLATES`.

    Returns
    -------
    tuple of str

    Raises
    ------
    OodlibError
        If there is no such set.

    Examples
    --------
    >>> templates("photo")
    ('a photo of a {}',)
    """
    try:
        return TEMPLATES[name]
    except KeyError:
        raise OodlibError(f"there is no template set {name!r}: choose one of {', '.join(TEMPLATES)}") from None


def fill(names: Sequence[str], template_set: Sequence[str]) -> list[str]:
    """All prompts, template by template within each name: length len(names) * len(template_set).

    Raises
    ------
    OodlibError
        If a template lacks `{}` (another library writes `{c}`).

    Examples
    --------
    >>> fill(["cat", "dog"], ["{}", "a {}"])
    ['cat', 'a cat', 'dog', 'a dog']
    """
    for template in template_set:
        if template.count("{}") != 1:
            raise OodlibError(f"the template {template!r} must hold {{}} exactly once, where the name goes")
    return [template.replace("{}", name) for name in names for template in template_set]


def check_prompts(texts: Sequence[str], templates: Sequence[str] | None) -> tuple[list[str], int]:
    """What an encoder is given: all prompts, and how many each text has. Without templates the texts as they are.

    Raises
    ------
    OodlibError
        If there is no text or no template, or a text is empty.
    """
    if isinstance(texts, str):
        raise OodlibError(f"texts must be a list of strings, not one string: pass [{texts!r}]")
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise OodlibError("every text must be a string with at least one letter: check the list of names")
    templates = tuple(templates) if templates is not None else ("{}",)
    if not templates:
        raise OodlibError("there is no template: pass at least one, or None to take the texts as they are")
    return fill(texts, templates), len(templates)


def ensemble(features: Any) -> Any:
    """Normalise, mean, normalise: the prompt ensemble of CLIP, open_clip and OpenOOD.

    Parameters
    ----------
    features : Tensor or array
        Text features, (C, P, D): P prompts for each of C names.

    Returns
    -------
    Tensor or array
        (C, D), L2-normalised.

    Examples
    --------
    >>> import torch
    >>> ensemble(torch.tensor([[[2.0, 0.0], [0.0, 9.0]]]))
    tensor([[0.7071, 0.7071]])
    """
    return normalize(normalize(features).mean(1))
