"""An option that would change nothing is refused in one sentence, before anything takes time."""

import shutil

import pytest
from typer.testing import CliRunner

from oodlib.cli.main import app

LABELS = ["--labels", "banana", "tiger"]
PROFILE = """title: Without a small block
encoder: {name: pocket}
dataset: emojishift
templates: photo
detectors: {mcm: {}}
id_sets: [hard-10]
n_boot: 10
"""


@pytest.fixture
def places(drawings, tmp_path, monkeypatch):
    """What stands for a word of a command, where no model can be loaded and nothing is sent."""
    for begins in (
        "open_clip.create_model_and_transforms",
        "oodlib.pocket.light.LightEncoder",
        "oodlib.outlier_labels.chat.ChatClient",
    ):
        monkeypatch.setattr(begins, lambda *_, **__: pytest.fail("has begun"))
    album, names = tmp_path / "album", tmp_path / "names.txt"
    album.mkdir()
    shutil.copy(drawings["banana"], album)
    names.write_text("cat\n")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "_toc.yml").write_text("root: book/index\n")
    (tmp_path / "profiles" / "mine.yaml").write_text(PROFILE)
    monkeypatch.setenv("OODLIB_PROJECT", str(tmp_path))
    monkeypatch.delenv("NO_KEY", raising=False)
    return {"ALBUM": album, "NAMES": names, "GUARD": tmp_path / "g.safetensors", "OUT": tmp_path / "out.csv"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["detect", "ALBUM", *LABELS, "--threshold", "0.5", "--calibrate", "ALBUM"], "leave out one of the two"),
        (["detect", "ALBUM", *LABELS, "--threshold", "best", "--calibrate", "ALBUM"], "no threshold 'best'"),
        (
            ["detect", "ALBUM", "--load", "GUARD", "--threshold", "1", "--calibrate", "ALBUM"],
            "leave out one of the two",
        ),
        (["detect", *LABELS, "--save", "GUARD", "-o", "OUT"], "name some, or leave --output out"),
        (["detect", *LABELS, "--save", "GUARD", "--format", "json"], "name some, or leave --format out"),
        (["detect", "ALBUM", *LABELS, "-o", "OUT", "--format", "json"], "leave --format out, or rename the file"),
        (["search", "a cat", "ALBUM", "-o", "OUT", "--format", "table"], "leave --format out, or rename the file"),
        (
            ["detect", "ALBUM", *LABELS, "--method", "mcm", "--threshold", "0.1", "--outliers", "car"],
            "mcm uses no outlier words: leave yours (outliers=..., --outliers) out",
        ),
        (["detect", "ALBUM", *LABELS, "--quick-gelu"], "leave quick_gelu=True (--quick-gelu) out"),
        (["search", "a cat", "ALBUM", "--no-quick-gelu"], "leave quick_gelu=False (--no-quick-gelu) out"),
        (["embed", "ALBUM", "--encoder", "local-dir:GONE", "--quick-gelu"], "leave quick_gelu=True (--quick-gelu) out"),
        (["embed", "ALBUM", "--engine", "ray", "--device", "cuda:1"], "pass --device cuda, not cuda:1"),
        (["envision", "--names", "NAMES", "--super-type", "pet", "--dry-run"], "leave 'pet' out, or choose the form"),
        (["envision", "--names", "NAMES", "--model", "m", "--key-variable", "NO_KEY"], "leave --key-variable out"),
        (["data", "get", "emojishift", "--root", "ALBUM"], "leave --root out, or set OODLIB_HOME"),
        (["detect", "ALBUM", *LABELS, "-o", "x.parquet"], "says no format that can be written: choose another ending"),
        (["search", "a cat", "ALBUM", "-o", "x.htm"], "search writes no HTML"),
        (["detect", "ALBUM", *LABELS, "-o", "x.htm", "--format", "csv"], "name two formats"),
        (["run", "--profile", "mine", "--small"], "has no `small` block: add one, or leave --small out"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(places, words, sentence):
    done = CliRunner().invoke(app, [str(places.get(word, word)) for word in words])
    assert done.exit_code == 1, done.output
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert sentence in line


@pytest.mark.parametrize(
    "words", [["embed", ""], ["compare", "", "ALBUM"], ["compare", "ALBUM", ""], ["serve", "--port", "99999"]]
)
def test_a_folder_or_a_port_that_cannot_be_meant_is_a_mistyped_command(places, words):
    done = CliRunner().invoke(app, [str(places.get(word, word)) for word in words], env={"COLUMNS": "200"})
    assert done.exit_code == 2, done.output
    assert "it is empty: name a folder" in done.stderr or "less than or equal to 65535" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["detect", "ALBUM", *LABELS, "--encoder", ""],
        ["detect", "ALBUM", *LABELS, "--method="],
        ["search", "a cat", "ALBUM", "--templates", ""],
        ["embed", "ALBUM", "--device", ""],
        ["coursework", "--output", ""],
        ["data", "list", "--root", ""],
    ],
)
def test_an_option_with_an_empty_value_is_not_taken_for_one_that_is_left_out(places, words):
    done = CliRunner().invoke(app, [str(places.get(word, word)) for word in words], env={"COLUMNS": "200"})
    assert done.exit_code == 2, done.output
    assert "it is empty: give it a value, or leave it out" in done.stderr
