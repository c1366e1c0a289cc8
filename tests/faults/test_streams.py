"""Standard output may be full, closed, or a pipe that nobody reads: one sentence or none, never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from oodlib.cli.main import app
from tests.faults.commands import oodlib, sentence

LABELS = ["--labels", "cat", "dog"]
pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")


@pytest.mark.parametrize("buffered", ["", "1"])
def test_a_full_disk_behind_standard_output_is_one_sentence(buffered, album):
    """Unbuffered, the write fails; else the end of the process would, after all is done."""
    for words in (["detect", album, *LABELS, "--format", "csv"], ["--help"]):
        with Path("/dev/full").open("w") as full:
            done = oodlib(*words, stdout=full, env={"PYTHONUNBUFFERED": buffered})
        assert "cannot write to standard output (No space left on device): free some space" in sentence(done)


def test_standard_output_that_is_closed_or_broken_ends_without_a_traceback(album):
    shell = f"exec {sys.executable} -m oodlib.cli data list"
    for end in (">&-", "| true", "2>&-"):
        done = subprocess.run(
            ["bash", "-c", f"{shell} {end}"], capture_output=True, text=True, cwd=Path(__file__).parents[2]
        )
        assert "Traceback" not in done.stderr + done.stdout
        assert "Exception ignored" not in done.stderr


def test_what_no_module_foresaw_names_the_file(monkeypatch):
    from typer.testing import CliRunner

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", "/somewhere/index.json")

    monkeypatch.setattr("oodlib.datasets.photos.data_root", refused)
    done = CliRunner().invoke(app, ["data", "list"])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: cannot use /somewhere/index.json (Permission denied): see that")
