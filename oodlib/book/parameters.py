"""The parameters of a notebook: what its cell tagged `parameters` says, and what a run may give."""

from __future__ import annotations

import ast
import builtins
import json
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from oodlib.errors import OodlibError
from oodlib.experiments.typed import read_parameters
from oodlib.registry import check_values, type_of

FIXED = ("profile", "small")  # options of the command, which every notebook has


def read_defaults(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The defaults in a notebook's first cell tagged `parameters`, and the types that they or annotations ask for.

    The cell is read as Python, not by a pattern as papermill does it: there, a default that holds = or # is lost.

    Parameters
    ----------
    source : Path
        The notebook.

    Returns
    -------
    (dict of str to object, dict of str to type)
        Both by the parameters' names.

    Raises
    ------
    OodlibError
        If the cell is not Python, or gives a name what is not written out as a value.
    """
    cell = _parameters_cell(source)
    defaults, types = {}, {}
    try:
        for line in ast.parse(cell).body:
            for name in _names(line):
                defaults[name] = default = ast.literal_eval(line.value)  # type: ignore[attr-defined]
                annotation = ast.unparse(line.annotation) if isinstance(line, ast.AnnAssign) else None
                types[name] = type_of(annotation, default, vars(builtins) | vars(typing))
    except SyntaxError as error:
        raise OodlibError(
            f"the parameters cell of notebooks/{source.name} is not Python: mend its line {error.lineno}"
        ) from None
    except ValueError:
        raise OodlibError(
            f"the parameter {name} of notebooks/{source.name} has a default that is computed: write its value"
        ) from None
    return defaults, types


def read_given(source: Path, texts: Iterable[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts as values of a notebook's parameters.

    Raises
    ------
    OodlibError
        As `oodlib.experiments.typed.read_parameters`, or if an option of the command has that name.
    """
    types = {name: kind for name, kind in read_defaults(source)[1].items() if name not in FIXED}
    given = list(texts)
    for text in given:
        _refuse_fixed(text.partition("=")[0].strip())
    return read_parameters(given, types, f"notebooks/{source.name}")


def check_given(source: Path, given: Mapping[str, Any]) -> None:
    """Refuse what a notebook does not take.

    Raises
    ------
    OodlibError
        If a name is unknown, a value is of another type, or a parameter is an option of its own.
    """
    for name in given:
        _refuse_fixed(name)
    types = {name: kind for name, kind in read_defaults(source)[1].items() if name not in FIXED}
    check_values(given, types, f"notebooks/{source.name}")


def _refuse_fixed(name: str) -> None:
    if name in FIXED:
        raise OodlibError(f"{name} is no parameter to set: choose it with --{name}")


def _parameters_cell(source: Path) -> str:
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    tagged = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    return "".join(next(tagged, {"source": ""})["source"])


def _names(line: ast.stmt) -> list[str]:
    """The names that a line gives a value."""
    if isinstance(line, ast.AnnAssign):
        targets = [line.target] if line.value else []
    else:
        targets = line.targets if isinstance(line, ast.Assign) else []  # type: ignore[assignment]
    return [target.id for target in targets if isinstance(target, ast.Name)]
