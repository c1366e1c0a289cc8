"""A table of pairs: what is wrong with one line is said of that line."""

import pytest

from oodlib.datasets.pair_table import read_pairs
from oodlib.errors import OodlibError


@pytest.fixture
def written(tmp_path):
    def write(content, encoding="utf-8"):
        path = tmp_path / "pairs.csv"
        path.write_bytes(content.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        "path,text\na.png,a cat\nb.png,a dog\n",
        "Path ; TEXT;note\r\na.png; a cat;x\r\n\r\nb.png;a dog;\r\n",
        "text\tpath\na cat\ta.png\na dog\tb.png\n",
        'path,text,,\na.png,"a cat",,\nb.png,a dog,,\n',
    ],
)
def test_what_can_be_meant_in_one_way_is_taken_so(written, content):
    lines = read_pairs(written(content, "utf-8-sig"))
    assert [(line.path, line.text, line.problem) for line in lines] == [("a.png", "a cat", ""), ("b.png", "a dog", "")]


def test_a_bad_line_loses_no_other(written):
    lines = read_pairs(written("path,text\na.png,a cat\nb.png,a dog, asleep\n,lost\nc.png\nd.png,\n"))
    assert [line.number for line in lines] == [2, 3, 4, 5, 6]
    assert not lines[0].problem
    assert "line 3 has 3 cells for 2 columns" in lines[1].problem
    assert "line 4 names no picture" in lines[2].problem
    assert "line 5 has 1 cells for 2 columns" in lines[3].problem
    assert (lines[4].path, lines[4].text, lines[4].problem) == ("d.png", "", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the columns path and text"),
        ("path,text\n", "a line for each pair"),
        ("path,label\na.png,cat\n", "the columns path and text"),
        ("path,text,text\na.png,cat,dog\n", "each once"),
        ('path,text\na.png,"a cat\n', "cannot read"),
    ],
)
def test_a_table_that_is_none_is_refused_in_a_sentence(written, content, said):
    with pytest.raises(OodlibError, match=said):
        read_pairs(written(content))


def test_a_missing_file_and_other_letters_are_refused(written, tmp_path):
    with pytest.raises(OodlibError, match=r"none\.csv"):
        read_pairs(tmp_path / "none.csv")
    with pytest.raises(OodlibError, match="UTF-8"):
        read_pairs(written("path,text\na.png,gr\xfcn\n", "latin-1"))
