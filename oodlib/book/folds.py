"""Cells as a page shows them: a folded one is named by what its code does, and the parameters stand there once."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

MADE = {"show": "figure", "table": "table"}  # functions of `oodlib.report.pages`, and what each puts on the page


def name_folds(cells: Iterable[dict[str, Any]]) -> None:
    """Give every folded code cell its name, in the metadata that MyST-NB reads."""
    for cell in cells:
        folded = cell["cell_type"] == "code" and "hide-input" in cell["metadata"].get("tags", [])
        if folded and (named := fold_name("".join(cell["source"]))):
            prompts = {"code_prompt_show": f"Code: {named}", "code_prompt_hide": f"Code: {named}"}
            cell["metadata"].setdefault("mystnb", {}).update(prompts)


def fold_name(source: str) -> str:
    """What the code of a cell does, in a few words; empty if it does not say.

    A comment in the first line says it. Else it is what the cell puts on the page, or that it imports.

    Examples
    --------
    >>> fold_name("# draw many times"), fold_name("import os"), fold_name("pages.table(frame, name)")
    ('draw many times', 'imports and settings', 'make the table')
    """
    if source.startswith("#"):
        return source.splitlines()[0].lstrip("# ")
    body = ast.parse(source).body
    calls = [node for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))  # the walk goes level by level
    made = [MADE[name] for call in calls if (name := _page_call(call)) in MADE]
    if made:
        kinds = [f"{kind}s" if made.count(kind) > 1 else kind for kind in dict.fromkeys(made)]
        return "make the " + " and the ".join(kinds)
    return "imports and settings" if isinstance(body[0], ast.Import | ast.ImportFrom) else ""


def _page_call(call: ast.Call) -> str:
    """The name of the function of `pages` that is called, or nothing."""
    called = call.func
    of_pages = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "pages"
    return called.attr if of_pages and isinstance(called, ast.Attribute) else ""


def show_parameters_once(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells without the one that papermill adds: its values stand in the cell of the defaults, in their places."""
    given: dict[str, str] = {}
    for cell in _tagged(cells, "injected-parameters"):
        given |= {name: ast.unparse(value) for name, value in _values("".join(cell["source"])).items()}
    for cell in _tagged(cells, "parameters"):
        cell["source"] = _with_values("".join(cell["source"]), given)
    return [cell for cell in cells if "injected-parameters" not in cell["metadata"].get("tags", [])]


def _tagged(cells: Iterable[dict[str, Any]], tag: str) -> list[dict[str, Any]]:
    return [cell for cell in cells if tag in cell["metadata"].get("tags", [])]


def _values(source: str) -> dict[str, ast.expr]:
    """The names that a cell of parameters sets, and the expressions that it sets them to."""
    found: dict[str, ast.expr] = {}
    for line in ast.parse(source).body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        value = getattr(line, "value", None)
        if isinstance(target, ast.Name) and value is not None:
            found[target.id] = value
    return found


def _with_values(source: str, given: dict[str, str]) -> str:
    """A cell of parameters with other values; what is written equally stays as it is written."""
    lines = source.splitlines()
    for name, value in reversed(_values(source).items()):
        if name not in given or ast.unparse(value) == given[name]:
            continue
        first, last = value.lineno - 1, (value.end_lineno or value.lineno) - 1
        head = lines[first].encode()[: value.col_offset].decode()
        tail = lines[last].encode()[value.end_col_offset :].decode()
        lines[first : last + 1] = [head + given[name] + tail]
    return "\n".join(lines)
