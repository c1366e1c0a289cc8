"""Which outlier words a language model takes for kinds of a class or for proper nouns, in the manner of NegRefine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from oodlib.arrays import as_numpy, top_k
from oodlib.datasets.wordnet import normal
from oodlib.errors import OodlibError

SYSTEM = "You are a helpful assistant. Answering only Yes/No."
PROPER = "Is '{word}' a proper noun, like the name of a city, country, mountain, river, or any unique place or entity?"
KIND = "Is '{word}' a subcategory of '{name}'?"  # the released code misspells the noun


def refine(
    words: Sequence[str],
    text: Any,
    names: Sequence[str],
    names_text: Any,
    ask: Callable[[list[dict[str, str]]], str],
    *,
    closest: int = 10,
) -> dict[str, str]:
    """Ask a language model about each word whether it is a proper noun or a kind of a class near it, until it says yes.

    Parameters
    ----------
    words : sequence of str
        K words, such as `CSP` keeps them (`outlier_names_`).
    text : tensor or array, shape (K, D)
        Their features.
    names : sequence of str
        The C classes.
    names_text : tensor or array, shape (C, D)
        Their features.
    ask : callable
        From a conversation, as dictionaries with `role` and `content`, to the next turn: `ChatClient.ask`. It is called
        up to ``1 + closest`` times a word.
    closest : int, default=10
        With how many of the classes a word is compared: those with the largest cosine.

    Returns
    -------
    dict of str to str
        For each word why it should leave, "proper noun" or "kind of dog"; empty where it stays.

    Raises
    ------
    OodlibError
        If words and features do not fit together, and whatever `ask` raises.

    References
    ----------
    Ansari et al., NegRefine: Refining Negative Label-Based Zero-Shot OOD Detection, ICCV 2025; the questions are those
    of the released code.

    Examples
    --------
    >>> import numpy as np
    >>> def ask(messages):
    ...     return "Yes." if "'poodle' a subcategory of 'dog'" in messages[-1]["content"] else "No."
    >>> refine(["poodle", "bus"], np.eye(2), ["dog"], np.eye(2)[:1], ask)
    {'poodle': 'kind of dog', 'bus': ''}
    """
    if len(words) != len(text) or len(names) != len(names_text):
        raise OodlibError("each word and each name needs its own feature: pass as many rows as there are of them")

    def says_yes(question: str) -> bool:
        turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        return ask(turns).strip().lower().startswith("yes")

    nearest = as_numpy(top_k(text @ names_text.T, min(closest, len(names)))[1])
    found: dict[str, str] = {}
    for word, places in zip(words, nearest.tolist(), strict=True):
        found[word] = ""
        if says_yes(PROPER.format(word=word)):
            found[word] = "proper noun"
            continue
        for name in (names[place] for place in places):
            if normal(name) == normal(word) or says_yes(KIND.format(word=word, name=name)):
                found[word] = f"kind of {name}"
                break
    return found
