"""`oodlib detect --pairs` as a person and as a script use it."""

import csv
import io
import json
import shutil

import pytest
from typer.testing import CliRunner

from oodlib.cli.main import app

MINE = ["--method", "outlier_softmax", "--outliers", "glasses", "bicycle", "rocket", "hammer"]
MINE += ["--labels", "banana", "tiger", "pineapple"]


@pytest.fixture
def table(drawings, tmp_path):
    for name in ("banana", "tiger", "bicycle"):
        shutil.copy(drawings[name], tmp_path / f"{name}.png")
    path = tmp_path / "pairs.csv"
    path.write_text("path,text\nbanana.png,a banana\ntiger.png,a bicycle\nbicycle.png,a bicycle\n", encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_same_answer_in_every_form(table, tmp_path):
    told = run("detect", "--pairs", table, *MINE, "--format", "json")
    assert told.exit_code == 3, told.stderr
    rows = json.loads(told.stdout)["images"]
    assert [(row["picture"], row["match"], row["decision"]) for row in rows] == [
        ("in", "yes", "in"),
        ("in", "no", "out"),
        ("out", "yes", "out"),
    ]
    assert "1 in, 2 out, 0 unreadable" in told.stderr
    assert "1 text(s) do not match" in told.stderr
    assert run("detect", "--pairs", table, *MINE, "-o", tmp_path / "found.csv").stdout == ""
    read = list(csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text(encoding="utf-8"))))
    assert [row["decision"] for row in read] == ["in", "out", "out"]
    shown = run("detect", "--pairs", table, *MINE).stdout.splitlines()
    assert shown[0].split()[:4] == ["line", "image", "text", "decision"]
    assert len(shown) == 4


def test_exit_codes_tell_a_script_what_happened(table):
    table.write_text("path,text\nbanana.png,a banana\n", encoding="utf-8")
    assert run("detect", "--pairs", table, *MINE).exit_code == 0
    table.write_text("path,text\nbanana.png,a banana\nnone.png,a tiger\nbanana.png,a banana\n", encoding="utf-8")
    told = run("detect", "--pairs", table, *MINE)
    assert told.exit_code == 4
    assert "none.png" in told.stdout
    assert "1 line(s) of" in told.stderr


def test_a_kept_guard_judges_pairs(table, tmp_path):
    kept = tmp_path / "mine.safetensors"
    assert run("detect", *MINE, "--save", kept).exit_code == 0
    again = run("detect", "--pairs", table, "--load", kept, "--format", "json")
    assert again.stdout == run("detect", "--pairs", table, *MINE, "--format", "json").stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["tiger.png"], "not from both"),
        (["--format", "html"], "not written as HTML"),
        (["-o", "out.html"], "not written as HTML"),
    ],
)
def test_what_does_not_go_with_pairs_is_refused_in_a_sentence(table, more, said):
    refused = run("detect", *more, "--pairs", table, *MINE)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_table_that_is_none_is_refused_before_a_model_is_loaded(table, monkeypatch):
    monkeypatch.setattr("oodlib.encoders.named.named_encoder", lambda *_, **__: pytest.fail("loaded"))
    table.write_text("path,label\nbanana.png,banana\n", encoding="utf-8")
    refused = run("detect", "--pairs", table, *MINE)
    assert refused.exit_code == 1
    assert "the columns path and text" in refused.stderr
    assert refused.stderr.count("\n") == 1
