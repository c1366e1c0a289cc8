"""Tables of pictures as hands and spreadsheets write them."""

import pytest
from PIL import Image

from oodlib.datasets.folder import from_csv
from oodlib.errors import OodlibError


@pytest.fixture
def album(tmp_path):
    (tmp_path / "in").mkdir()
    for k, name in enumerate(("a.png", "b.png", "in/c.png")):
        Image.new("RGB", (4, 4), (k, 0, 0)).save(tmp_path / name)
    return tmp_path


def labels(album, text, name="list.csv"):
    (album / name).write_bytes(text.encode() if isinstance(text, str) else text)
    found = from_csv(album / name)
    assert not found.bad
    return {row.id: row.label for row in found.listing.rows}


PLAIN = {"a.png": "cat", "b.png": "dog"}


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.png,cat\nb.png,dog\n",
        " a.png ".join(("path,label\n", ",cat\n b.png, dog \n")),
        "Path, LABEL \na.png,cat\nb.png,dog\n",
        "path;label\na.png;cat\nb.png;dog\n",
        "path\tlabel\r\na.png\tcat\r\nb.png\tdog\r\n",
        "\ufeffpath,label\r\n\r\na.png,cat\r\n,,\r\nb.png,dog\r\n\r\n",
        'path,label\n"a.png", "cat"\n"b.png" ,dog\n'.replace('" ,', '",'),
        "label,path,note,\ncat,a.png,x,,\ndog,b.png,,,\n",
        "path,label\na.png,cat\n./a.png,cat\nb.png,dog\nin/../b.png,dog\n",
        "path,label\n.\\a.png,cat\nb.png,dog\n",
    ],
)
def test_what_can_be_meant_in_one_way_only_is_taken_so(album, text):
    assert labels(album, text) == PLAIN


def test_paths_with_backslashes_absolute_ones_and_names_that_begin_with_a_space(album):
    assert labels(album, f"path,label\nin\\c.png,cat\n{album}/a.png,dog\n") == {"in/c.png": "cat", "a.png": "dog"}
    (album / "x\\y.png").write_bytes((album / "a.png").read_bytes())
    assert labels(album, "path,label\nx\\y.png,cat\n") == {"x\\y.png": "cat"}


def test_a_label_with_a_comma_is_kept_in_quotes(album):
    assert labels(album, 'path,label\na.png, "door, red"\n') == {"a.png": "door, red"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,door, red\n", r"line 2 of .* has 3 cells for 2 columns: .* quotes"),
        ("path,label\n\nb.png,cat\na.png\n", r"line 4 of .* has 1 cells for 2 columns"),
        ("path;label\na.png;door; red\n", r"line 2 of .* has 3 cells"),
        ("path,label\na.png;cat\n", r"line 2 of .* has 1 cells"),
        ("path,label\n,cat\n", r"line 2 of .* names no picture"),
        ("path,label\na.png,cat\nb.png,dog\na.png,dog\n", r"lines 2 and 4 of .* a.png two labels, 'cat' and 'dog'"),
        ("path,label\na.png,cat\n./a.png,dog\n", "two labels, 'cat' and 'dog'"),
        ("path,label\na.png,cat\nALBUM/a.png,dog\n", "two labels"),
        ("path,label\na.png,cat\nlink.png,dog\n", "link.png two labels"),
        ("path,label\na.png,cat\nin\\..\\a.png,dog\n", "two labels"),
        ("path,label\nnone.png,cat\nnone.png,\n", "two labels, 'cat' and ''"),
        ("path,label,split\na.png,cat,train\na.png,cat,test\n", "two splits, 'train' and 'test'"),
        ("path,label,label\na.png,cat,dog\n", "each once"),
        ("a.png,cat\nb.png,dog\n", "columns path and label"),
        ("\n\n", "columns path and label"),
        ('path,label\n"a.png,cat\nb.png,dog\n', "cannot read"),
        (b"path,label\na.png,caf\xe9\n", "cannot read"),
        ("path,label\na.png,cat\n".encode("utf-16"), "cannot read|columns path and label"),
    ],
)
def test_what_would_lose_or_change_a_label_is_refused(album, text, message):
    (album / "link.png").symlink_to(album / "a.png")
    with pytest.raises(OodlibError, match=message):
        labels(album, text.replace("ALBUM", str(album)) if isinstance(text, str) else text)
