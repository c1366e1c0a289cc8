"""Master notebooks of the coursework: one notebook, with neutral tags, from which every version is made.

A master runs from top to bottom as it is. Its cells carry at most one tag: `exercise` (the task), `solution` (code;
what a student must write is between the lines `# solution:` and `# end`), `test` and `hidden-test` (checks), `answer`
(the model answer to a written question). Tagged cells name their exercise, and its points, in `metadata.oodlib`.

A slip here could show a solution to students, so a master that is not clearly right is refused.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oodlib.coursework.regions import Region, rewrite, split, stub
from oodlib.errors import OodlibError

ROLES = {"exercise": "markdown", "solution": "code", "test": "code", "hidden-test": "code", "answer": "markdown"}
ABOUT = {"title": str, "minutes": int, "cpu_seconds": int, "goals": list, "needs": str}

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Cell:
    """A cell of a master: its kind, its role (a tag, or "" for everybody's), and what it says."""

    id: str
    kind: str
    role: str
    source: str
    exercise: str = ""
    points: float = 0


@dataclass(frozen=True)
class Master:
    """A master notebook that has been checked.

    Attributes
    ----------
    name, title, needs : str
        The file's name without suffix; what the assignment is called; what one must have read.
    minutes, cpu_seconds : int
        For a student to work through it; for the solution to run on one processor core.
    goals : tuple of str
        What a student can do afterwards.
    cells : tuple of Cell
    """

    name: str
    title: str
    minutes: int
    cpu_seconds: int
    goals: tuple[str, ...]
    needs: str
    cells: tuple[Cell, ...]

    @cached_property
    def exercises(self) -> dict[str, float]:
        """Points of each exercise, in order."""
        return {cell.exercise: cell.points for cell in self.cells if cell.role == "exercise"}

    @property
    def points(self) -> float:
        """Points in all."""
        return sum(self.exercises.values())

    def of(self, exercise: str, *roles: str) -> list[Cell]:
        """The cells of an exercise that have one of some roles."""
        return [cell for cell in self.cells if cell.exercise == exercise and cell.role in roles]


def read_master(path: Path) -> Master:
    """Read a master and check everything that its versions rely on.

    Raises
    ------
    OodlibError
        One sentence that names the notebook, the cell and the remedy.
    """
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        about = book["metadata"].get("oodlib", {}).get("coursework")
        found = [_cell(path, place, cell) for place, cell in enumerate(book["cells"])]
    except OSError as error:
        raise OodlibError(f"cannot read {path} ({error.strerror}): name a master notebook") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OodlibError(f"{path.name} is not a notebook ({error}): save it again from Jupyter") from None
    for key, kind in ABOUT.items():
        if not isinstance(about, dict) or not isinstance(about.get(key), kind) or not about[key]:
            raise OodlibError(f"{path.name} does not say its {key}: add it to metadata.oodlib.coursework.make")
    if unknown := sorted(set(about) - set(ABOUT)):
        raise OodlibError(f"{path.name}: {unknown[0]!r} is not a key of metadata.oodlib.coursework.make: take it out")
    _check_together(path, found)
    return Master(path.stem, **(about | {"goals": tuple(about["goals"])}), cells=tuple(found))


def _cell(path: Path, place: int, cell: dict[str, Any]) -> Cell:
    """One cell, checked by itself."""
    source, kind, metadata = "".join(cell["source"]), cell["cell_type"], cell["metadata"]
    try:
        role = _role(kind, metadata.get("tags", []))
        exercise, points = _task(role, metadata.get("oodlib", {}))
        if not source.strip():
            raise ValueError("it is empty: delete it")
        if kind == "code":
            _check_code(source, role, exercise)
    except (SyntaxError, ValueError) as error:
        reason = str(error)
        if isinstance(error, SyntaxError):
            reason = f"line {error.lineno} is not Python ({error.msg}), as it is or without the solution"
        raise OodlibError(f"{path.name}, cell {place} ({cell.get('id', 'no id')}): {reason}") from None
    return Cell(str(cell.get("id", f"cell-{place:02}")), kind, role, source, exercise, points)


def _role(kind: str, tags: Sequence[str]) -> str:
    """The one tag of a cell, or "" for everybody's."""
    if kind not in ("markdown", "code"):
        raise ValueError(f"a {kind} cell has no meaning here: make it markdown or code")
    if len(tags) > 1 or set(tags) - set(ROLES):
        raise ValueError(f"the tags {tags} are not one of {', '.join(ROLES)}: keep one of them, or none")
    role = tags[0] if tags else ""
    if role and kind != ROLES[role]:
        raise ValueError(f"{role!r} is a tag of {ROLES[role]} cells: change the cell's type or its tag")
    return role


def _task(role: str, metadata: dict[str, Any]) -> tuple[str, float]:
    """The exercise of a cell, and its points, 0 where the role has none."""
    exercise, points = metadata.get("exercise", ""), metadata.get("points", 0)
    if not role and metadata:
        raise ValueError(f"it names an exercise but has no tag: add one of {', '.join(ROLES)}")
    if role and not (isinstance(exercise, str) and _NAME.fullmatch(exercise)):
        raise ValueError("it does not name its exercise: add metadata.oodlib.exercise, such as 'q1'")
    if role in ("", "solution"):
        return exercise, 0
    if isinstance(points, bool) or not isinstance(points, int | float) or points <= 0:
        raise ValueError(f"{role} cells have points: add metadata.oodlib.points, a number above 0")
    return exercise, points


def _check_code(source: str, role: str, exercise: str) -> None:
    """Code with markers where they belong, that is Python with and without the solution; a check does not print."""
    regions = [part for part in split(source) if isinstance(part, Region)]
    if bool(regions) != (role == "solution"):
        where = "are missing from this" if role == "solution" else "belong only in a"
        raise ValueError(f"the markers '# solution:' and '# end' {where} solution cell")
    ast.parse(rewrite(source, lambda region: stub(region, exercise)))
    tree = ast.parse(source)
    if "test" in role and any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree)):
        raise ValueError("a check speaks only when it fails: use the message of its assert, not print")


def _check_together(path: Path, cells: Sequence[Cell]) -> None:
    """What only shows when all cells are seen: order, completeness, points that add up, ids."""
    if not cells or cells[0].kind != "markdown" or not cells[0].source.startswith("# "):
        raise OodlibError(f"{path.name}, cell 0: begin with a markdown cell that has the title, '# ...'")
    _check_order(path, cells)
    tasks = {place: cell for place, cell in enumerate(cells) if cell.role == "exercise"}
    if not tasks:
        raise OodlibError(f"{path.name} has no cell tagged exercise: add one")
    for place, task in tasks.items():
        _check_exercise(f"{path.name}, cell {place} ({task.id})", task, cells)
    _check_alone(path, cells)


def _check_order(path: Path, cells: Sequence[Cell]) -> None:
    """Every cell has its own id, and the cells of an exercise follow its statement, before the next one begins."""
    open_one, seen, ids = "", set(), set()
    for place, cell in enumerate(cells):
        where = f"{path.name}, cell {place} ({cell.id})"
        if cell.id in ids:
            raise OodlibError(f"{where}: another cell has this id: give each its own")
        ids.add(cell.id)
        if cell.role == "exercise":
            if cell.exercise in seen:
                raise OodlibError(f"{where}: the exercise {cell.exercise!r} has been stated before: rename one")
            open_one = cell.exercise
            seen.add(open_one)
        elif cell.role and cell.exercise not in seen:
            raise OodlibError(f"{where}: the exercise {cell.exercise!r} is not stated above: add its exercise cell")
        elif cell.role and cell.exercise != open_one:
            raise OodlibError(f"{where}: {open_one!r} has begun already: move this cell up to its exercise")


def _check_alone(path: Path, cells: Sequence[Cell]) -> None:
    """No cell relies on a name that a check defines: otter-grader runs each check by itself."""
    lasting: set[str] = set()
    of_checks: set[str] = set()
    for place, cell in enumerate(cells):
        if cell.kind != "code":
            continue
        defined, used = _names(cell.source)
        if borrowed := sorted((used - defined - lasting) & of_checks):
            raise OodlibError(
                f"{path.name}, cell {place} ({cell.id}): {borrowed[0]!r} is defined by a check, and each check runs by "
                "itself: define it here, too"
            )
        if "test" in cell.role:
            of_checks |= defined
        else:
            lasting |= defined


def _names(source: str) -> tuple[set[str], set[str]]:
    """Names that a cell defines, and names that it uses."""
    defined: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).partition(".")[0])
    return defined, used


def _check_exercise(where: str, task: Cell, cells: Sequence[Cell]) -> None:
    """One exercise: it is graded by code or by hand, not both, and its points add up."""
    own = {role: [cell for cell in cells if (cell.exercise, cell.role) == (task.exercise, role)] for role in ROLES}
    written, coded = len(own["answer"]), len(own["solution"])
    checks = own["test"] + own["hidden-test"]
    if written + coded != 1:
        raise OodlibError(f"{where}: {task.exercise!r} has {written + coded} solutions or answers: give it exactly one")
    if written and checks:
        raise OodlibError(f"{where}: {task.exercise!r} is written, so it is graded by hand: take its checks out")
    if coded and not (own["test"] and own["hidden-test"]):
        raise OodlibError(f"{where}: {task.exercise!r} needs a test and a hidden-test: add the one that is missing")
    given = sum(cell.points for cell in own["answer"] + checks)
    if given != task.points:
        raise OodlibError(f"{where}: {task.exercise!r} has {task.points} points, its cells {given}: make them agree")
