"""How cells look on a page: folds with names, parameters once."""

import json
from pathlib import Path

import pytest

from oodlib.book.folds import fold_name, name_folds, show_parameters_once

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
WIDEST = 80  # columns of code that a page shows without scrolling


def code(source: str, *tags: str) -> dict:
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("# train every method\nimport os", "train every method"),
        ("import os\n\nrun = 1", "imports and settings"),
        ("x = 1\npages.show(x)", "make the figure"),
        ("for k in range(2):\n    pages.table(k)\npages.show(1)", "make the table and the figure"),
        ("pages.table(1)\npages.table(2)", "make the tables"),
        ("x = 1", ""),
        ("show(1)\nother.show(2)", ""),
    ],
)
def test_a_fold_is_named_by_what_its_code_does(source, name):
    assert fold_name(source) == name


def test_only_folded_code_with_something_to_say_gets_a_name():
    cells = [code("import os", "hide-input"), code("import os"), code("x = 1", "hide-input")]
    cells.append({"cell_type": "markdown", "source": "# Title", "metadata": {"tags": ["hide-input"]}})
    name_folds(cells)
    assert [cell["metadata"].get("mystnb", {}).get("code_prompt_show") for cell in cells] == [
        "Code: imports and settings",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_fold_of_the_book_has_a_name(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    folded = [cell for cell in cells if "hide-input" in cell["metadata"].get("tags", [])]
    assert all(3 < len(fold_name("".join(cell["source"]))) < WIDEST for cell in folded)


def test_the_parameters_of_a_run_stand_on_its_page_once():
    defaults = (
        'profile = "pocket"\nsmall = False\nn: int | None = None  # draws, ü\nsizes = (\n    1,\n)\nword = "é"  # é'
    )
    injected = "# Parameters\nprofile = 'pocket'\nsmall = True\nn = 7\nsizes = (2, 3)\n"
    cells = [code(defaults, "parameters"), code(injected, "injected-parameters"), code("x = 1")]
    shown = show_parameters_once(cells)
    assert [cell["source"] for cell in shown] == [
        'profile = "pocket"\nsmall = True\nn: int | None = 7  # draws, ü\nsizes = (2, 3)\nword = "é"  # é',
        "x = 1",
    ]


def test_a_page_without_parameters_stays_as_it_is():
    cells = [code("x = 1")]
    assert show_parameters_once(cells) == cells


def test_code_that_a_page_shows_is_at_most_80_columns_wide():
    long = []
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code" and "remove-input" not in cell["metadata"].get("tags", []):
                lines = "".join(cell["source"]).splitlines()
                long += [f"{path.name}: {line}" for line in lines if len(line) > WIDEST]
    assert long == []
