"""What a model can make of names and descriptions: whether it knows them, tells them apart and reads them to the end.

A tower gives every text a feature, whatever it is: two names in letters that it does not know have the same one, and
what stands behind the last token that it reads has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from oodlib.errors import OodlibError
from oodlib.guard.labels import label_prompts
from oodlib.prompts.reading import Reading

if TYPE_CHECKING:
    from oodlib.encoders.encoder import Encoder
    from oodlib.pocket.light import LightEncoder


def check_reading(
    encoder: Encoder | LightEncoder,
    labels: Mapping[str, Sequence[str]],
    templates: Sequence[str],
    what: str = "label",
) -> list[str]:
    """Refuse names that mean nothing to a model or that it takes for one another.

    Parameters
    ----------
    encoder : Encoder or LightEncoder
    labels : mapping of str to sequence of str
        As `oodlib.guard.labels.check_labels` gives them.
    templates : sequence of str
        Prompts around the names.
    what : str
        What messages call a name.

    Returns
    -------
    list of str
        A sentence for what is read in part only.

    Raises
    ------
    OodlibError
        If the vocabulary has nothing of a name without descriptions, or two names are read as the same.
    """
    if not labels:
        return []
    model = encoder.spec["model"]
    notes = _unknown(encoder.read_texts([*labels, ""]), labels, model, what)
    groups = {name: label_prompts(name, described, templates) for name, described in labels.items()}
    read = iter(encoder.read_texts([prompt for group in groups.values() for prompt in group]))
    whole: dict[tuple[tuple[int, ...], ...], str] = {}
    ends: dict[tuple[int, ...], str] = {}
    cut: list[str] = []
    for name, prompts in groups.items():
        readings = [next(read) for _ in prompts]
        first = whole.setdefault(tuple(reading.ids for reading in readings), name)
        if first != name:
            why = f", of which it reads {len(readings[0].ids)} tokens," if readings[0].cut else ""
            raise OodlibError(
                f"{model} cannot tell the {what}s {first!r} and {name!r}{why} from each other: keep one of them, "
                "choose other words, or another encoder"
            )
        for prompt, reading in zip(prompts, readings, strict=True):
            if reading.cut:
                same = ends.setdefault(reading.ids, name)
                like = f", and what is left is the same as of {same!r}" if same != name else ""
                start = prompt if len(prompt) <= 40 else f"{prompt[:36]} ..."
                cut.append(f"of {start!r} for {name!r} {model} reads the first {len(reading.ids)} tokens{like}")
    more = f", and so with {len(cut) - 3} more texts" if len(cut) > 3 else ""
    return [*notes, *([f"{'; '.join(cut[:3])}{more}: shorten what is too long"] if cut else [])]


def _unknown(readings: Sequence[Reading], labels: Mapping[str, Sequence[str]], model: str, what: str) -> list[str]:
    """Notes about names that a vocabulary lacks in part; the last reading is that of an empty text."""
    *names, empty = readings
    notes = []
    for (name, described), reading in zip(labels.items(), names, strict=True):
        length = len(reading.ids) - len(empty.ids)
        nothing = reading.ids == empty.ids or (reading.unknown and reading.unknown == length)
        if nothing and not described:
            raise OodlibError(
                f"{model} cannot read the {what} {name!r}, of which its vocabulary has nothing: write it in a language "
                "that the model knows, or choose another encoder"
            )
        if nothing:
            notes.append(f"{model} cannot read the {what} {name!r}: its descriptions alone tell it from others")
        elif reading.unknown:
            notes.append(f"{model} cannot read {reading.unknown} of the {length} tokens of the {what} {name!r}")
    return notes
