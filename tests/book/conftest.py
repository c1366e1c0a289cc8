"""A checkout with a profile and notebooks of a test's own."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml

from oodlib.book import notebooks

PROFILE = {
    "title": "Made up",
    "encoder": {"name": "none"},
    "dataset": "emojishift",
    "templates": "none",
    "detectors": {"mcm": {}},
    "id_sets": ["none"],
    "n_boot": 10,
    "small": {"n_boot": 11},
}
MAKES_A_PRODUCT = """
from oodlib.experiments import profiles
from oodlib.provenance import current_run, note, product
run = profiles.load_profile(profile, small=small)
note(seeds={"x": 7}, device="cpu")
product("results/number.txt", run.folder).write_text(f"{number} {run.n_boot} {current_run()}")
print(number)
"""


def cell(source: str, *tags: str) -> dict:
    new = nbformat.v4.new_code_cell(source)
    new["metadata"] = {"tags": list(tags)} if tags else {}
    return new


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout with one profile and one notebook; returns a function that writes a notebook's cells."""
    monkeypatch.setenv("OODLIB_PROJECT", str(tmp_path))
    monkeypatch.setenv("OODLIB_BUILD", str(tmp_path / "_build"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "pocket.yaml").write_text(yaml.safe_dump(PROFILE), encoding="utf-8")
    chapters = [{"file": "notebooks/reads"}, {"file": "book/prose"}, {"file": "notebooks/page"}]
    toc = {"format": "jb-book", "root": "book/index", "parts": [{"caption": "x", "chapters": chapters}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")

    def write(*sources: str, name: str = "page", reads: tuple[str, ...] = (), about: str = "", **says: Any) -> None:
        first = cell('profile = "pocket"\nsmall = False\nnumber = 3\n', "parameters")
        book = nbformat.v4.new_notebook(cells=[first, *map(cell, sources)])
        book["metadata"] = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "oodlib": {"reads": list(reads), **says} | ({"profile": about} if about else {}),
        }
        for k, new in enumerate(book["cells"]):
            new["id"] = f"cell-{k}"
        nbformat.write(book, tmp_path / "notebooks" / f"{name}.ipynb")

    write(MAKES_A_PRODUCT)
    return write


@pytest.fixture
def two_profiles(project, tmp_path):
    """A second profile, and a page that is about the first one in every book."""
    (tmp_path / "profiles" / "other.yaml").write_text(yaml.safe_dump(PROFILE), encoding="utf-8")
    project("1", name="reads", reads=("results",), about="pocket")
    return project


@pytest.fixture
def no_kernel(monkeypatch):
    """Cells are run in this process: for what is kept and made again, a kernel of its own is seconds of waiting."""

    def run(source, output, parameters, log):
        book, names = json.loads(source.read_text(encoding="utf-8")), {}
        for made in book["cells"]:
            exec("".join(made["source"]), names)
            names |= parameters if "parameters" in made["metadata"].get("tags", []) else {}
        return book

    monkeypatch.setattr(notebooks, "run_papermill", run)
