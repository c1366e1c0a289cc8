"""A disk that is full at any file of a command: one sentence with file and remedy, and nothing half-written."""

import json
import os
import subprocess
import sys

import pytest

from oodlib.pocket.assemble import assemble
from tests.faults.commands import ROOT, oodlib, sentence

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
# Several commands in one process, each under a limit on the size of files: the kernel refuses what a full disk would.
PROGRAM = """
import json, resource, sys
from typer.testing import CliRunner
from oodlib.cli.main import app
said = []
for limit, words in json.loads(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    done = CliRunner().invoke(app, words)
    said.append([done.exit_code, done.stderr, repr(done.exception)])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(json.dumps(said))
"""
LABELS = ["--labels", "cat", "dog"]


@pytest.mark.slow
def test_every_file_that_a_command_writes_may_be_the_one_that_does_not_fit(album, tmp_path):
    home = tmp_path / "home"
    assemble(home)
    (tmp_path / "out").mkdir()
    out = {name: str(tmp_path / "out" / name) for name in ("mine.safetensors", "mine.csv", "mine.parquet")}
    pictures, none = str(album), 10**9
    steps = [
        (0, ["embed", pictures], "shard-00000.safetensors"),
        (200, ["search", "a cat", pictures], "shard-00000.safetensors"),
        (none, ["embed", pictures], None),
        (100, ["embed", pictures, "--output", out["mine.parquet"]], "mine.parquet"),
        (1000, ["detect", pictures, *LABELS], "guards"),
        (none, ["detect", pictures, *LABELS], None),
        (1000, ["detect", pictures, *LABELS, "--save", out["mine.safetensors"]], "mine.safetensors"),
        (100, ["detect", pictures, *LABELS, "--output", out["mine.csv"]], "mine.csv"),
    ]
    given = json.dumps([[limit, words] for limit, words, _ in steps])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OODLIB_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, given], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for (_, words, named), (code, errors, exception) in zip(steps, json.loads(done.stdout), strict=True):
        if named is None:
            assert code in (0, 3), (words, errors, exception)
            continue
        assert code == 1, (words, errors, exception)
        assert "SystemExit" in exception, (words, exception)
        (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert named in line
        remedy = "choose a folder that can be written" if str(tmp_path / "out") in line else "set OODLIB_HOME"
        assert f"free some space, or {remedy}" in line
    assert not list((tmp_path / "out").iterdir())
    assert not [path for path in home.rglob(".*") if path.is_file()]


def test_a_disk_without_room_for_the_model_is_one_sentence_and_leaves_no_part_of_it(album, tmp_path):
    for limit in (1000, 1_000_000):  # its small files do not fit, or its weights
        done = oodlib("detect", album, *LABELS, limit=limit, env={"OODLIB_HOME": str(tmp_path / "home")})
        assert "OODLIB_HOME" in sentence(done)
        assert [path.name for path in (tmp_path / "home" / "models").iterdir() if path.is_dir()] == []
