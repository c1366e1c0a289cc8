"""What EOE asks a language model, and what of its replies becomes an outlier label."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from oodlib.cache import check_source
from oodlib.datasets.wordnet import normal
from oodlib.errors import OodlibError

Form = Literal["far", "near", "fine-grained"]
FORMS: tuple[Form, ...] = get_args(Form)
DEFAULT_COUNT = {"far": 100, "near": 3, "fine-grained": 100}
PER_TURN = 50  # labels that one turn of a far or fine-grained conversation asks for
MAX_LABEL = 60  # characters; a longer line is a remark, not a label
# What the ID names are kinds of, for the fine-grained form.
SUPER_TYPES = {
    "animals-food": "animal, plant, food or drink",
    "hard-10": "animal or vehicle",
    "hard-20": "animal or vehicle",
}

# Comments without a space, tabs, lists and mappings of YAML and JSON, numbers and ids before names.
_MORE_THAN_A_NAME = re.compile(
    r"""^\#|\t|[,:;]$|^[-*+•]\s|^["'].*["']$|^[\[{]|^\d+\s*[:;,.)|]\s*\D|^\w+:\s|^n\d{8}\s|^---$"""
)

_FORMAT = 'Write each on a line of its own that starts with "- ", in at most three words, and add no explanations.'
_MORE = f"Name {PER_TURN} more that are not among those above. {_FORMAT}"
_FAR = (
    "An image classifier knows these classes: {names}.\n"
    "First summarise in a few words the broad visual categories that they fall into. Then, with these categories in "
    f"mind, name {PER_TURN} kinds of things that visually resemble them (in shape, colour, texture or posture) but "
    f"have no direct relation to any of the classes.\n{_FORMAT}"
)
_NEAR = (
    "An image classifier can take one thing for another that merely looks like it.\n"
    "Question: name 3 things from other domains that look similar to a guitar.\n"
    "- tennis racket\n- frying pan\n- hourglass\n"
    "Question: name 3 things from other domains that look similar to the moon.\n"
    "- cheese wheel\n- paper lantern\n- pearl\n"
    "Question: name 3 things from other domains that look similar to a castle.\n"
    "- chess rook\n- wedding cake\n- rocky cliff\n"
    f"Question: name {{count}} things from other domains that look similar to: {{name}}.\n{_FORMAT}"
)
_FINE = (
    "I have a list of kinds of {super_type}: {names}.\n"
    f"Name {PER_TURN} other kinds of {{super_type}} that are not in the list, as someone who had these kinds of dogs, "
    "beagle and poodle, would name husky, collie, pug, boxer, dalmatian, akita, whippet, chow chow, mastiff and "
    f"terrier.\n{_FORMAT}"
)


def as_form(text: str) -> Form:
    """Check the name of a form.

    Raises
    ------
    OodlibError
        If it is none of `FORMS`.
    """
    for form in FORMS:
        if text == form:
            return form
    raise OodlibError(f"there is no form {text!r} of envisioning: choose one of {', '.join(FORMS)}")


def read_names(path: Path) -> list[str]:
    """Class names from a text file, one a line; empty lines, and comments after # and a space, are skipped.

    Raises
    ------
    OodlibError
        If the file cannot be read, or holds no name or one twice.
    """
    check_source(path)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise OodlibError(
            f"cannot read {path} ({getattr(error, 'strerror', 'not UTF-8')}): pass a text file with a name on each line"
        ) from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line and line != "#" and line[:2] != "# "]
    counted = [re.match(r"\d+(?=\s)", line) for _, line in numbered]
    first = int(counted[0][0]) if len(counted) > 2 and counted[0] else None
    in_order = first is not None and all(m and int(m[0]) == k for k, m in enumerate(counted, first))
    listed = in_order or (len(numbered) == 1 and "," in numbered[0][1])
    for number, line in numbered:
        if listed or _MORE_THAN_A_NAME.search(line):
            raise OodlibError(
                f"line {number} of {path}, {line[:40]!r}, is more than a name: write names alone, one on each line, "
                "and a space behind the # of a comment; names with such signs belong in JSON, as a list"
            )
    names = [line for _, line in numbered]
    if not names:
        raise OodlibError(f"{path} holds no class name: write one on each line")
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise OodlibError(f"{path} names {twice!r} twice: keep one of them")
    return names


def chats(names: Sequence[str], form: Form, *, count: int | None = None, super_type: str = "") -> list[list[str]]:
    """What to ask: conversations, each a list of our turns.

    Far and fine-grained labels come from one conversation that asks for 50 more again and again, near labels from one
    short conversation for each name. The forms are EOE's, the wording and the worked examples are this project's.

    Parameters
    ----------
    names : sequence of str
        ID class names.
    form : str
        "far", "near" or "fine-grained".
    count : int, optional
        Far and fine-grained: labels in all, rounded up to a multiple of 50. Near: labels for each name.
    super_type : str
        Fine-grained only: what the names are kinds of, such as "bird".

    Raises
    ------
    OodlibError
        If the form is not known, or something is missing that it needs or passed that it does not use.
    """
    form = as_form(form)
    count = DEFAULT_COUNT[form] if count is None else count
    if count < 1 or not names:
        raise OodlibError("nothing to envision: pass at least one name and a count of at least 1")
    if super_type and form != "fine-grained":
        raise OodlibError(f"{form} labels use no super-type: leave {super_type!r} out, or choose the form fine-grained")
    if form == "near":
        return [[_NEAR.format(name=name, count=count)] for name in names]
    if form == "fine-grained" and not super_type:
        raise OodlibError("fine-grained labels need a super-type: say what the names are kinds of, such as 'bird'")
    first = (_FAR if form == "far" else _FINE).format(names=", ".join(names), super_type=super_type)
    return [[first] + [_MORE] * (math.ceil(count / PER_TURN) - 1)]


def distinct_prompts(names: Sequence[str], form: Form, *, count: int | None = None, super_type: str = "") -> list[str]:
    """The prompts of `chats` without repeats; the near form's stands for all names with `{name}`."""
    turns = chats(["{name}"] if form == "near" else names, form, count=count, super_type=super_type)[0]
    return list(dict.fromkeys(turns))


def parse(reply: str) -> list[str]:
    r"""The labels of a reply: its lines that start with "- ".

    Examples
    --------
    >>> parse("Animals with fur.\n- gray wolf\n- **Red panda**.\n* not one of them")
    ['gray wolf', 'Red panda']
    """
    lines = (line.strip() for line in reply.splitlines())
    labels = (" ".join(line[2:].replace("*", " ").split()).strip(" .,;\"'`") for line in lines if line.startswith("- "))
    return [label for label in labels if label and len(label) <= MAX_LABEL and label.isprintable()]


def clean(labels: Iterable[str], names: Iterable[str], form: Form) -> list[str]:
    """EOE's filter: lower case, each label once, no ID name; near labels share no word with any ID name either.

    Hyphens and underscores count as spaces where labels are compared with names.

    Examples
    --------
    >>> clean(["Gray wolf", "wolf", "gray wolf", "black cat"], ["wolf", "cat"], "far")
    ['gray wolf', 'black cat']
    >>> clean(["Gray wolf", "red panda"], ["wolf", "cat"], "near")
    ['red panda']
    """
    known = {normal(name) for name in names}
    words = {word for name in known for word in name.split()} if form == "near" else set()
    unique = dict.fromkeys(label.lower() for label in labels)
    return [label for label in unique if normal(label) not in known and words.isdisjoint(normal(label).split())]
