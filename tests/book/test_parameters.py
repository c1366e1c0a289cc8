"""The cell tagged `parameters` is read as Python, whatever signs its defaults hold."""

import nbformat
import pytest

from oodlib.book.parameters import check_given, read_defaults, read_given
from oodlib.errors import OodlibError

CELL = '''
"""What this notebook takes."""
profile = "pocket"
small = False
title = "cats # and dogs"
rule = "score=cosine"  # which
rate: float = 1e-2  # step size
steps = 3
below = -0.5
maybe: int | None = None
free = None
names = ["a", "b # c"]
pair = (0.0, 0.5)
one = other = """two
lines = 2"""
declared: int
'''


@pytest.fixture
def source(tmp_path):
    """A function that writes a notebook with this parameters cell."""

    def write(cell: str = CELL):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("x"), nbformat.v4.new_code_cell(cell)])
        book.cells[1].metadata["tags"] = ["parameters"]
        nbformat.write(book, tmp_path / "page.ipynb")
        return tmp_path / "page.ipynb"

    return write


def test_every_default_is_found(source):
    defaults, types = read_defaults(source())
    expected: dict = {}
    exec(CELL, expected)
    assert list(defaults) == [
        *("profile", "small", "title", "rule", "rate", "steps", "below", "maybe", "free", "names", "pair"),
        *("one", "other"),
    ]
    assert all(value == expected[name] for name, value in defaults.items())
    assert (types["rate"], types["steps"], types["maybe"]) == (float, int, int | None)


def test_values_are_of_the_type_in_the_notebook(source):
    texts = ["rate=1e-3", "title=a=b # c", "rule=1", "maybe=5", "pair=[1, 2]", "names=[x, 1e-2]", "below=-1", "free=.5"]
    assert read_given(source(), texts) == {
        "rate": 0.001,
        "title": "a=b # c",
        "rule": "1",
        "maybe": 5,
        "pair": (1, 2),
        "names": ["x", 0.01],
        "below": -1.0,
        "free": 0.5,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profile=imagenet", "choose it with --profile"),
        ("small=true", "choose it with --small"),
        ("steps=0.5", "steps of notebooks/page.ipynb takes a whole number, not 0.5"),
        ("stepps=5", "did you mean 'steps'"),
        ("declared=5", "no parameter 'declared'"),
    ],
)
def test_what_is_refused(source, text, message):
    with pytest.raises(OodlibError, match=message):
        read_given(source(), [text])


@pytest.mark.parametrize(
    ("given", "message"),
    [({"profile": "x"}, "--profile"), ({"rate": "1e-2"}, "takes a number, not '1e-2'"), ({"nope": 1}, "no parameter")],
)
def test_python_callers_hear_the_same(source, given, message):
    check_given(source(), {"rate": 1, "pair": [0, 1], "free": "x"})
    with pytest.raises(OodlibError, match=message):
        check_given(source(), given)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("x = 1\n%matplotlib inline", "is not Python: mend its line 2"),
        ("x = 1\nwait = 10 * 60", "the parameter wait of .* has a default that is computed"),
        ("from math import pi\narea = pi", "the parameter area of .* is computed"),
    ],
)
def test_a_cell_that_cannot_be_read_is_one_sentence(source, cell, message):
    with pytest.raises(OodlibError, match=message):
        read_defaults(source(cell))


def test_a_notebook_without_such_a_cell_takes_nothing(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "bare.ipynb")
    assert read_defaults(tmp_path / "bare.ipynb") == ({}, {})
