"""How text sets lie on a disk: folders by class, JSON of intents, JSON lines, and tables of tab-separated columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from oodlib.errors import OodlibError

Row = tuple[str, str, str]  # id, text, class ("" for none)


def folders(folder: Path, classes: Sequence[str] | None = None) -> Iterator[Row]:
    """A file for each text in a folder for each class, by scikit-learn's loader.

    Texts are read as UTF-8, and as Latin-1 where they are not that, as old posts are.
    """
    from sklearn.datasets import load_files

    named = list(classes) if classes else None
    wanted = named or sorted(path.name for path in folder.glob("*") if path.is_dir())
    if not wanted or not all((folder / name).is_dir() for name in wanted):
        raise OodlibError(f"{folder} has no folder for each class: unpack the set again")
    # Without an encoding it gives bytes, so that one odd file does not end the work on all the others.
    found = load_files(folder, categories=named, shuffle=False)
    for path, content, place in zip(found.filenames, found.data, found.target, strict=True):
        yield Path(path).relative_to(folder).as_posix(), _decoded(content), found.target_names[place]


def intents(path: Path, split: str) -> Iterator[Row]:
    """One JSON object with a list of text and intent for each split; those of `oos_*` have no class."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OodlibError(f"{path} cannot be read ({error}): get it again") from None
    listed = _parsed(content, str(path))
    rows = listed.get(split) if isinstance(listed, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 2 for row in rows):
        raise OodlibError(f"{path} has no list of texts and intents named {split}: get it again")
    for number, (text, intent) in enumerate(rows):
        yield f"{split}-{number}", str(text), "" if split.startswith("oos") else str(intent)


def json_lines(path: Path, split: str) -> Iterator[Row]:
    """A JSON object a line with headline, short_description and category: the text is the first two."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = _parsed(line, f"{path}, line {number}")
            try:
                parts = (row["headline"], row["short_description"])
                label = row["category"]
            except (KeyError, TypeError):
                raise OodlibError(
                    f"{path}, line {number} lacks a headline, a short_description or a category: get it again"
                ) from None
            yield f"{split}-{number}", " ".join(str(part) for part in parts if part), str(label)


def columns(folder: Path, split: str, *, text: str, label: str) -> Iterator[Row]:
    """A table of tab-separated columns without quotes, `SPLIT.tsv`; without a column of labels there are no classes."""
    path = folder / f"{split}.tsv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if text not in (table.fieldnames or ()):
                raise OodlibError(f"{path} has no column {text!r}: get it again")
            for number, row in enumerate(table, 2):
                if row[text] is None:
                    raise OodlibError(f"{path}, line {number} has too few columns: get it again")
                yield f"{split}-{number}", row[text], row.get(label) or ""
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OodlibError(f"{path} cannot be read ({error}): get it again") from None


def _parsed(content: bytes, where: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise OodlibError(f"{where} is no JSON ({error}): get it again") from None


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")
