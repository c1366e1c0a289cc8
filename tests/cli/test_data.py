import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from oodlib.cli import data as cli_data
from oodlib.cli.main import app
from oodlib.datasets import examination, paper_texts, photos
from oodlib.datasets.examination import COMPLETE, DAMAGED, NOT_COMPLETE, NOT_THERE, PACKED, SAMPLE, State
from tests.cli.test_main import process

WORDS = (COMPLETE, SAMPLE, NOT_THERE, PACKED, NOT_COMPLETE, DAMAGED)


def oodlib(*arguments: str, **environment: str):
    """The command in this process, which takes a tenth of the time of one of its own."""
    return CliRunner().invoke(app, arguments, env=environment)


def sentence(done) -> str:
    assert done.exit_code == 1, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def test_list_says_what_is_here_and_where_it_is_looked_for(sample_tree):
    done = process("data", "list", "--root", str(sample_tree))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^imagenet-1k +ID +sample +80 +6.7 GB *$", done.stdout, re.MULTILINE)
    assert re.search(r"^textures +far +sample +60 +625.2 MB *$", done.stdout, re.MULTILINE)
    assert re.search(r"^cub-100 +ID +sample +20 +as cub-200 *$", done.stdout, re.MULTILINE)
    assert re.search(r"^emojishift +pocket ", done.stdout, re.MULTILINE)
    assert f"looked for in {sample_tree}, a made-up sample" in done.stdout
    empty = process("data", "list", OODLIB_DATA=str(sample_tree / "nowhere"))
    assert re.search(r"^imagenet-1k +ID +not there +0 +50,000 +6.7 GB *$", empty.stdout, re.MULTILINE)
    assert re.search(r"^ninco +near +not there +0 +5,879 +~674.4 MB *$", empty.stdout, re.MULTILINE)
    assert re.search(r"^sun +far +not there +0 +10,000 +\? *$", empty.stdout, re.MULTILINE)


def test_list_fits_a_screen_of_80_columns(monkeypatch, tmp_path):
    """Every set has one line, whatever its state: the longest words stand in the widest rows here."""
    screen = io.StringIO()
    monkeypatch.setattr(cli_data, "out", Console(file=screen, width=80, force_terminal=True, color_system=None))
    longest = State("", max(WORDS, key=len), 1_281_167, 1_281_167, 0, ())
    monkeypatch.setattr(examination, "survey", lambda name, root: (longest, None))
    cli_data.list_sets(tmp_path)
    lines = screen.getvalue().splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines if str(tmp_path) not in line)
    firsts = [line.split()[0] for line in lines]
    assert firsts[1 : len(photos.names()) + 2] == ["emojishift", *photos.names()]
    assert "…" not in screen.getvalue()
    texts = len(paper_texts.SETS) + 2
    assert len(lines) == len(photos.names()) + texts + 6, "a heading, emojishift, texts, and four lines more"


def test_check_tells_every_problem_and_ends_with_1(sample_tree, tmp_path):
    fine = oodlib("data", "check", "--root", str(sample_tree), "--deep")
    assert fine.exit_code == 0, fine.stdout
    assert "no problems" in fine.stdout
    done = oodlib("data", "check", "sun", "textures", "--root", str(tmp_path))
    assert done.exit_code == 1
    assert "sun: not there, 0 of 10,000 pictures, 0 bytes" in done.stdout
    assert "`oodlib data get sun` fetches it" in done.stdout
    assert "2 problems" in done.stdout
    assert oodlib("data", "check", "--root", str(tmp_path)).exit_code == 0  # nothing here, so nothing is wrong
    assert "did you mean textures" in sentence(oodlib("data", "check", "texture"))


def test_get_asks_before_it_downloads(tmp_path):
    done = oodlib("data", "get", "textures", "--root", str(tmp_path / "root"))  # nobody answers
    assert done.exit_code == 1
    for said in ("5,640 pictures", "https://www.robots.ox.ac.uk", "625.2 MB", "licence  not verified", "Download it?"):
        assert said in done.stdout
    assert f"into     {tmp_path / 'root' / 'dtd'}" in done.stdout
    assert not (tmp_path / "root").exists()


def test_get_says_how_to_fetch_by_hand(tmp_path):
    done = oodlib("data", "get", "imagenet-10", "--root", str(tmp_path))
    assert done.exit_code == 1
    for said in ("part of  imagenet-1k", "make an account", "6.7 GB", "parse_val_archive", "data check imagenet-10"):
        assert said in done.stdout


def test_text_sets_are_listed_checked_and_fetched_by_hand(tmp_path):
    listed = oodlib("data", "list", "--root", str(tmp_path))
    assert re.search(r"^clinc150 +not there +23,700 +train, val, test", listed.stdout, re.MULTILINE)
    told = oodlib("data", "get", "clinc150", "--root", str(tmp_path))
    assert told.exit_code == 1
    assert "1. put data_full.json into the folder clinc150 of the data root" in told.stdout
    missing = oodlib("data", "check", "clinc150", "--root", str(tmp_path))
    assert missing.exit_code == 1
    assert "`oodlib data get clinc150` says how to get it" in missing.stdout
    file = tmp_path / "clinc150" / "data_full.json"
    file.parent.mkdir()
    file.write_text('{"train": [["what is my balance", "balance"]]}', encoding="utf-8")
    assert re.search(r"^clinc150 +there ", oodlib("data", "list", "--root", str(tmp_path)).stdout, re.MULTILINE)
    assert oodlib("data", "get", "clinc150", "--root", str(tmp_path)).exit_code == 0
    short = oodlib("data", "check", "--root", str(tmp_path))
    assert short.exit_code == 1
    assert "train has 1 texts, and its makers count 15,000" in short.stdout
    assert "no list of texts and intents named val" in short.stdout


def test_get_without_a_network_is_one_sentence(tmp_path):
    line = sentence(oodlib("data", "get", "mnist", "--yes", "--root", str(tmp_path), https_proxy="http://127.0.0.1:9"))
    assert "check the network, then the same command goes on" in line
    assert not (tmp_path / "mnist").exists()


def test_get_leaves_alone_what_is_here(sample_tree):
    done = oodlib("data", "get", "mnist", "--root", str(sample_tree))
    assert done.exit_code == 0
    assert "mnist is here: sample, 60 pictures" in done.stdout


def test_emojishift_is_drawn():
    done = oodlib("data", "get", "emojishift")
    assert done.exit_code == 0, done.stderr
    assert "twemoji" in done.stdout
    assert re.search(r"manifest [0-9a-f]{64}", done.stdout)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_a_root_that_cannot_be_written_is_one_sentence():
    assert "choose another data root" in sentence(oodlib("data", "get", "mnist", "--yes", "--root", "/proc/photos"))
