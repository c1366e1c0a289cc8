"""What a master becomes: the student's notebook, the solution, and the sources of two graders.

otter-grader's and nbgrader's formats say the same in two ways: what to take out for the student, what is checked, and
for how many points. Both tools then make their own student notebooks.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from oodlib.coursework.master import Cell, Master
from oodlib.coursework.regions import UNWRITTEN, Region, rewrite, stub

DATA = ("emojishift.npz", "pictures.png")  # what an assignment reads, in the folder `data`
YOUR_ANSWER = "*Your answer:*"
# nbgrader gives no points for a test that passes while anything is written to standard error, where warnings go.
_WARNINGS_ARE_FINE = "import sys\n\nsys.stderr = sys.stdout  # a warning costs no points\n"
_GRADED_HERE = "# More checks run here when your work is graded."

Notebook = dict[str, Any]
_KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def student(master: Master) -> Notebook:
    """The notebook for students: no solution, no hidden check, no answer, no metadata."""
    cells = []
    for cell in _common(master):
        if cell.role == "solution":
            cells.append(_cell(cell, rewrite(cell.source, partial(stub, exercise=cell.exercise))))
        elif cell.role == "answer":
            cells.append(_cell(cell, YOUR_ANSWER))
        elif cell.role != "hidden-test":
            cells.append(_cell(cell))
    return _notebook(cells)


def solution(master: Master) -> Notebook:
    """The notebook for teachers: everything, without the markers."""
    return _notebook([_cell(cell, rewrite(cell.source, _plain)) for cell in _common(master)])


def otter(master: Master) -> Notebook:
    """The source for `otter assign`: its raw cells around questions, solutions and tests."""
    files = "".join(f"\n- data/{name}" for name in DATA)
    config = f"# ASSIGNMENT CONFIG\nname: {master.name}\nexport_cell:\n  pdf: false\nfiles:{files}"
    cells = [_raw("config", config)]
    for exercise, question in _questions(master):
        if not exercise:
            cells += [_cell(cell) for cell in question]
            continue
        by_hand = "\nmanual: true" if master.of(exercise, "answer") else ""
        settings = f"name: {exercise}\npoints: {master.exercises[exercise]:g}{by_hand}"
        cells.append(_raw(f"{exercise}-begin", f"# BEGIN QUESTION\n{settings}"))
        for number, (block, group) in enumerate(groupby(question, _block)):
            inside = [_cell(cell, _for_otter(cell)) for cell in group]
            if block:
                begin = _raw(f"{exercise}-begin-{number}", f"# BEGIN {block}")
                inside = [begin, *inside, _raw(f"{exercise}-end-{number}", f"# END {block}")]
            cells += inside
        cells.append(_raw(f"{exercise}-end", "# END QUESTION"))
    return _notebook(cells)


def nbgrader(master: Master) -> Notebook:
    """The source for `nbgrader generate_assignment`: its metadata, version 3, and its markers."""
    cells = []
    for cell in _common(master):
        text = cell.source
        if cell.role == "solution":
            text = rewrite(text, _between("### BEGIN SOLUTION", "### END SOLUTION"))
        elif cell.role == "test":
            text = f"{_WARNINGS_ARE_FINE}{text}"
        elif cell.role == "hidden-test":
            text = f"{_GRADED_HERE}\n{_WARNINGS_ARE_FINE}### BEGIN HIDDEN TESTS\n{text}\n### END HIDDEN TESTS"
        notebook_cell = _cell(cell, text)
        if cell.role:
            notebook_cell["metadata"]["nbgrader"] = _nbgrader_metadata(cell)
        cells.append(notebook_cell)
    return _notebook(cells)


def _nbgrader_metadata(cell: Cell) -> dict[str, Any]:
    """Whether a cell is graded, written by the student, or neither, in nbgrader's words."""
    grade, written = cell.role in ("test", "hidden-test", "answer"), cell.role in ("solution", "answer")
    # Every id is a cell's own, so that an exercise may have several tests.
    name = cell.exercise if cell.role == "exercise" else f"{cell.exercise}-{cell.id}"
    flags = {"grade": grade, "solution": written, "locked": not written, "task": False}
    return {**flags, "grade_id": name, "schema_version": 3, **({"points": cell.points} if grade else {})}


def _common(master: Master) -> Iterator[Cell]:
    """The cells with what the metadata know in words: an overview below the title, and points below each task."""
    goals = "\n".join(f"* {goal}" for goal in master.goals)
    overview = (
        f"**Before you start**: {master.needs}\n\n**Afterwards** you can:\n\n{goals}\n\n**Time**: about "
        f"{master.minutes} minutes. All cells together compute for about {master.cpu_seconds} seconds on one processor "
        f"core. **Points**: {master.points:g}.\n\nReplace each line that raises `{UNWRITTEN}` by code of "
        "your own, then run the cell and the check below it. A check that says nothing is passed. When your work is "
        "graded, more checks run, with other numbers."
    )
    for place, cell in enumerate(master.cells):
        text = cell.source
        if cell.role == "exercise":
            text += f"\n\n*{cell.points:g} {'point' if cell.points == 1 else 'points'}*"
        yield Cell(cell.id, cell.kind, cell.role, text, cell.exercise, cell.points)
        if not place:
            yield Cell("overview", "markdown", "", overview)


def _questions(master: Master) -> list[tuple[str, list[Cell]]]:
    """Cells by question, in order; those of no question under ""."""
    cells = list(_common(master))
    last = {cell.exercise: place for place, cell in enumerate(cells) if cell.exercise}
    runs: list[tuple[str, list[Cell]]] = []
    current = ""
    for place, cell in enumerate(cells):
        current = cell.exercise or current
        if not runs or runs[-1][0] != current:
            runs.append((current, []))
        runs[-1][1].append(cell)
        if current and place == last[current]:
            current = ""
    return runs


def _block(cell: Cell) -> str:
    """otter-grader's block around a cell."""
    return {"solution": "SOLUTION", "answer": "SOLUTION", "test": "TESTS", "hidden-test": "TESTS"}.get(cell.role, "")


def _for_otter(cell: Cell) -> str:
    """A cell's source with otter-grader's markers."""
    if cell.role == "solution":
        return rewrite(cell.source, lambda region: _otter_region(region, cell.exercise))
    if _block(cell) != "TESTS":
        return cell.source
    hidden = "true" if cell.role == "hidden-test" else "false"
    config = f'""" # BEGIN TEST CONFIG\npoints: {cell.points:g}\nhidden: {hidden}\n""" # END TEST CONFIG'
    return f"{config}\n{_silent(cell.source)}"


def _silent(source: str) -> str:
    """Give every bare expression a name: otter-grader runs checks as doctests, and a value that is shown fails."""
    lines = source.split("\n")
    bare = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    for node in sorted(bare, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        if not isinstance(node.value, ast.Constant):
            line = lines[node.lineno - 1].encode()  # columns are counted in bytes
            lines[node.lineno - 1] = (line[: node.col_offset] + b"_ = " + line[node.col_offset :]).decode()
    return "\n".join(lines)


def _otter_region(region: Region, exercise: str) -> list[str]:
    """A region as a solution block without otter's own prompt, then ours: a string that only students see as code."""
    *hint, error = stub(region, exercise)
    begin, end = f"{region.indent}# BEGIN SOLUTION NO PROMPT", f"{region.indent}# END SOLUTION"
    prompt = [f'{region.indent}""" # BEGIN PROMPT', error, f'{region.indent}"""; # END PROMPT']
    return [*hint, begin, *region.body, end, *prompt]


def _plain(region: Region) -> list[str]:
    return [*([f"{region.indent}# {region.hint}"] if region.hint else []), *region.body]


def _between(begin: str, end: str) -> Callable[[Region], Sequence[str]]:
    def marked(region: Region) -> list[str]:
        hint = [f"{region.indent}# {region.hint}"] if region.hint else []
        return [*hint, region.indent + begin, *region.body, region.indent + end]

    return marked


def _cell(cell: Cell, source: str | None = None) -> dict[str, Any]:
    """A notebook's cell; nothing of the master's metadata goes along."""
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if cell.kind == "code" else {}
    text = cell.source if source is None else source
    return {"cell_type": cell.kind, "id": cell.id, "metadata": {}, "source": text, **code}


def _raw(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "raw", "id": name, "metadata": {}, "source": source}


def _notebook(cells: list[dict[str, Any]]) -> Notebook:
    return {"cells": cells, "metadata": _KERNEL, "nbformat": 4, "nbformat_minor": 5}
