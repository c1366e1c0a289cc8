"""The part of a cell that a student must write: finding it in a source, and putting something else in its place.

It lies between the lines `# solution:` and `# end`, at any indentation. A line `# start: ...` right above it is a hint,
which stays as a comment. A marker that is misspelled could leave a solution in a student's notebook, so it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

UNWRITTEN = "NotImplementedError"  # what a student's notebook raises where code of their own is due

_BEGIN, _END, _HINT = (re.compile(rf"(\s*)# {text}\s*") for text in ("solution:", "end", "start: (.+?)"))
_NEARLY = re.compile(r"\s*#+\s*(?:(?:solution|start)\s*:?|end|begin)(?:\s+solution)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Region:
    """What a student must write: its lines, how far they are indented, and the hint above them, if there is one."""

    indent: str
    hint: str
    body: tuple[str, ...]


def rewrite(source: str, region: Callable[[Region], Sequence[str]]) -> str:
    """The source with every region, its markers and its hint line replaced by other lines."""
    lines: list[str] = []
    for part in split(source):
        lines += region(part) if isinstance(part, Region) else [part]
    return "\n".join(lines)


def split(source: str) -> Iterator[str | Region]:
    """The lines of a source and its regions, in order.

    Raises
    ------
    ValueError
        If markers do not pair up, are misspelled, or nothing is between them.
    """
    indent: str | None = None
    hint = ""
    body: list[str] = []
    for number, line in enumerate(source.split("\n"), 1):
        begin, end, start = _BEGIN.fullmatch(line), _END.fullmatch(line), _HINT.fullmatch(line)
        if hint and indent is None and not begin:
            raise ValueError(f"line {number} should be '# solution:', because a '# start:' line is above it")
        if begin and indent is None:
            indent = begin[1]
        elif end and indent is not None:
            if not _has_code(body):
                raise ValueError(f"nothing is between the markers that end in line {number}")
            yield Region(indent, hint, tuple(body))
            indent, hint, body = None, "", []
        elif start and indent is None:
            hint = start[2]
        elif begin or end or _NEARLY.fullmatch(line):
            alone = f"the marker in line {number} has no partner"
            misspelled = f"line {number} looks like a marker: write '# solution:' and '# end'"
            raise ValueError(alone if begin or end else misspelled)
        elif indent is None:
            yield line
        else:
            body.append(line)
    if indent is not None or hint:
        raise ValueError("a '# solution:' or '# start:' line is not followed by '# end'")


def _has_code(lines: Sequence[str]) -> bool:
    return any(line.strip() and not line.strip().startswith("#") for line in lines)


def stub(region: Region, exercise: str) -> list[str]:
    """What a student finds instead of a region: the hint as a comment, and an error that names the exercise."""
    hint = [f"{region.indent}# {region.hint}"] if region.hint else []
    return [*hint, f'{region.indent}raise {UNWRITTEN}("your code: {exercise}")']
