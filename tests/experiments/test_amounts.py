"""The amounts of a profile: a small run's are values of its block, and nothing else asks whether a run is small."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from oodlib.experiments.amounts import Amounts
from oodlib.experiments.profiles import Profile, load_profile
from oodlib.prompts.sets import templates

ROOT = Path(__file__).parents[2]
PROFILES = [path.stem for path in sorted((ROOT / "profiles").glob("*.yaml"))]


@pytest.fixture(params=PROFILES)
def both(request, monkeypatch, tmp_path) -> tuple[Profile, Profile]:
    """A profile of the book and its small run, where there are no photographs."""
    monkeypatch.setenv("OODLIB_PROJECT", str(ROOT))
    for variable in ("IMAGENET_ROOT", "CIFAR_ROOT"):
        monkeypatch.setenv(variable, str(tmp_path))
    return load_profile(request.param), load_profile(request.param, small=True)


def leaves(values: dict, *path: str) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, value in values.items():
        yield from leaves(value, *path, key) if isinstance(value, dict) else [((*path, key), value)]


def test_a_full_run_takes_everything_and_a_small_one_less(both):
    full, small = both
    assert full.amounts == Amounts(), "the amounts of a full run are the defaults"
    whole = dict(leaves(full.amounts.model_dump()))
    for path, few in leaves(small.amounts.model_dump(exclude_unset=True)):
        every = whole[path]
        if "one_in" in path:
            assert few < every or few == 1, path
        elif isinstance(every, list):
            assert set(few) < set(every), path
        else:
            assert every is None or few < every, path


def test_prompt_sets_exist(both):
    assert all(templates(name) for run in both for name in run.amounts.zero_shot.prompt_sets)


def code() -> Iterator[tuple[str, str]]:
    """Every module of the library and every code cell of the book, with its name."""
    for path in sorted((ROOT / "oodlib").rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield path.name, "".join(cell["source"])


def choices(source: str) -> Iterator[str]:
    """The conditions that ask whether a run is small."""
    for node in ast.walk(ast.parse(source)):
        for test in [getattr(node, "test", None), *getattr(node, "ifs", [])]:
            asked = ast.walk(test) if isinstance(test, ast.AST) else ()
            if any(getattr(part, "id", getattr(part, "attr", "")) in ("small", "is_small") for part in asked):
                yield ast.unparse(test)


def test_no_page_and_no_module_chooses_by_small():
    """But where a profile is read, and where its folder gets its name."""
    assert list(choices("n = 3 if run.is_small else [k for k in x if small]")) == ["run.is_small", "small"]
    found = {(name, test) for name, source in code() for test in choices(source)}
    tests = ("small or sample", "small and (not override) and (not sample)", "self.is_small")
    assert found == {("oodlib/experiments/profiles.py", test) for test in tests}
