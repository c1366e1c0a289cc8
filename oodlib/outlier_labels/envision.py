"""Outlier labels that a language model envisions from the class names alone, in the manner of EOE."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from oodlib.cache import check_source, write_text
from oodlib.errors import OodlibError
from oodlib.outlier_labels.envision_prompts import Form, chats, clean, distinct_prompts, parse

SHIPPED = Path(__file__).with_name("envisioned")


@dataclass(frozen=True)
class EnvisionedList:
    """A list of envisioned labels with everything that led to it.

    Attributes
    ----------
    id_set : str
        Name of the ID set.
    form : str
        "far", "near" or "fine-grained".
    source : str
        Who answered: a model and its address, or "written for this project".
    note : str
        What a reader should know about the list.
    id_names : tuple of str
        The class names that the prompts were made from.
    prompts : tuple of str
        The distinct prompts; in the near one `{name}` stands for each class name in turn.
    replies : tuple of tuple of str
        The labels of every reply, as they came: one reply for each turn, for the near form one for each class.
    labels : tuple of str
        `clean` of the replies: what detectors use.
    """

    id_set: str
    form: Form
    source: str
    note: str
    id_names: tuple[str, ...]
    prompts: tuple[str, ...]
    replies: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of ID names, replies, labels as they came, and labels after cleaning."""
        came = sum(map(len, self.replies))
        return {"id_names": len(self.id_names), "replies": len(self.replies), "came": came, "labels": len(self.labels)}

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        text = json.dumps(asdict(self) | {"counts": self.counts}, ensure_ascii=False, indent=1) + "\n"
        write_text(path, text)

    @classmethod
    def read(cls, path: Path) -> EnvisionedList:
        """Read what `write` wrote.

        Raises
        ------
        OodlibError
            If there is no such file, or it holds something else.
        """
        check_source(path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            del found["counts"]
            lists = {field: tuple(map(_text, found.pop(field))) for field in ("id_names", "prompts", "labels")}
            replies = tuple(tuple(map(_text, reply)) for reply in found.pop("replies"))
            return cls(**{field: _text(value) for field, value in found.items()}, **lists, replies=replies)  # type: ignore[arg-type]
        except OSError as error:
            raise OodlibError(f"cannot read {path} ({error.strerror}): `oodlib envision` makes such a file") from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise OodlibError(f"{path} is no list of envisioned labels: make it again with `oodlib envision`") from None


def load_envisioned(id_set: str, form: Form, folder: Path = SHIPPED) -> list[str]:
    """The labels envisioned for an ID set: those that the library ships, or those of another folder.

    Parameters
    ----------
    id_set : str
        Of the shipped ones "animals-food", "hard-10" or "hard-20".
    form : str
        "far" (other things that look alike), "near" (look-alikes of each class) or "fine-grained" (siblings).
    folder : Path
        Where `SET-FORM.json` lies, as `oodlib envision` writes it.

    Raises
    ------
    OodlibError
        If there is no such list.

    Examples
    --------
    >>> len(load_envisioned("hard-10", "near"))
    30
    """
    known = sorted(file.stem for file in folder.glob("*.json"))
    if f"{id_set}-{form}" not in known:
        raise OodlibError(
            f"no {form!r} labels are envisioned for {id_set!r}: make them with `oodlib envision`"
            + (f", or choose among {', '.join(known)}" if known else "")
        )
    return list(EnvisionedList.read(folder / f"{id_set}-{form}.json").labels)


def envision(
    names: Sequence[str],
    form: Form,
    ask: Callable[[list[dict[str, str]]], str],
    *,
    id_set: str,
    source: str,
    count: int | None = None,
    super_type: str = "",
    heard: Callable[[int, int], object] = lambda *_: None,
) -> EnvisionedList:
    """Ask a language model for outlier labels.

    Parameters
    ----------
    names, form, count, super_type
        As for `chats`.
    ask : callable
        From a conversation so far, as dictionaries with `role` and `content`, to the next turn: `ChatClient.ask`.
    id_set, source : str
        Kept with the list.
    heard : callable
        Called after every reply with the number of replies so far and in all.

    Raises
    ------
    OodlibError
        If no reply holds a label, and whatever `ask` raises.
    """
    conversations = chats(names, form, count=count, super_type=super_type)
    total = sum(map(len, conversations))
    replies: list[tuple[str, ...]] = []
    for turns in conversations:
        messages: list[dict[str, str]] = []
        for turn in turns:
            messages.append({"role": "user", "content": turn})
            reply = ask(messages)
            messages.append({"role": "assistant", "content": reply})
            replies.append(tuple(parse(reply)))
            heard(len(replies), total)
    labels = clean((label for reply in replies for label in reply), names, form)
    if not labels:
        raise OodlibError(
            f'{source}: no line of the replies starts with "- " and names something new; try another model'
        )
    prompts = distinct_prompts(names, form, count=count, super_type=super_type)
    return EnvisionedList(
        id_set=id_set,
        form=form,
        source=source,
        note="",
        id_names=tuple(names),
        prompts=tuple(prompts),
        replies=tuple(replies),
        labels=tuple(labels),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
