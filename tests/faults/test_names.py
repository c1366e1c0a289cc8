"""Names of files and folders may be no UTF-8 and hold codes that steer a terminal: none reaches one, none is lost."""

import csv
import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oodlib.cache import write_atomically
from oodlib.datasets.listing import as_named
from oodlib.errors import OodlibError
from tests.faults.commands import ROOT, oodlib

NAMES = (b"caf\xe9.png", b"\x1b[2Jred.png", b"two\nlines.png", b"\xc2\x9b31m.png")
LABELS = ["--labels", "cat", "dog"]
pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="needs names that are any bytes")


@pytest.fixture
def hostile(album):
    """A folder with such names, in a class's folder with such a name, below a folder with such a name."""
    root = album.parent / os.fsdecode(b"\x1b[31m\xff")
    folder = root / os.fsdecode(b"class\xe9\x1b[0m")
    folder.mkdir(parents=True)
    for name in NAMES:
        shutil.copy(album / "0.png", folder / os.fsdecode(name))
    return root


def on_a_terminal(*words: object) -> str:
    """What a terminal gets of a command, on both of its streams."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "oodlib.cli", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "NO_COLOR": "1"}
    started = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # the process has ended
            break
        if not more:
            break
        shown += more
    os.close(ours)
    assert started.wait() in (0, 1, 3, 4), shown
    return shown.decode()


@pytest.mark.slow
def test_data_holds_every_name_and_a_terminal_sees_no_code(hostile, tmp_path):
    found = {
        kind: oodlib("detect", hostile, *LABELS, "--format", kind, stderr=subprocess.DEVNULL).stdout
        for kind in ("csv", "json")
    }
    for rows in (csv.DictReader(io.StringIO(found["csv"])), json.loads(found["json"])["images"]):
        names = [row["image"] for row in rows]
        assert sorted(os.fsencode(Path(as_named(name)).name) for name in names) == sorted(NAMES)
        assert all(Path(as_named(name)).exists() for name in names)
    for words in (["detect", hostile, *LABELS, "--format", "csv"], ["search", "a cat", hostile], ["embed", hostile]):
        shown = on_a_terminal(*words)
        assert "\\x1b[2Jred.png" in shown or words[0] == "embed"
        assert "\x1b[2J" not in shown
        assert "\x1b[31m" not in shown
        assert "\x9b" not in shown
        assert "Traceback" not in shown


def test_a_writer_that_cannot_take_such_a_name_is_one_sentence(tmp_path):
    path = tmp_path / os.fsdecode(b"\xe9.parquet")
    with pytest.raises(OodlibError, match="is not UTF-8"):
        write_atomically(path, lambda temporary: temporary.write_text(str(temporary), encoding="utf-8"))
    assert not list(tmp_path.iterdir())
    with pytest.raises(UnicodeEncodeError):  # which is not the path's fault
        write_atomically(tmp_path / "x.txt", lambda temporary: temporary.write_text("\udce9", encoding="utf-8"))


def test_labels_and_table_and_error_with_such_names(hostile, tmp_path):
    names = hostile / os.fsdecode(b"names\xe9\x1b[0m.txt")
    names.write_text("cat\ndog\n")
    table = tmp_path / os.fsdecode(b"table\xe9\x1b[0m.parquet")
    done = oodlib("embed", hostile, "--output", table)
    assert done.returncode == 0, done.stderr
    assert len(pq.read_table(io.BytesIO(table.read_bytes()))) == len(NAMES)
    assert "table\\udce9\\x1b[0m.parquet" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    missing = oodlib("detect", hostile, "--labels-file", names.with_suffix(".gone"))
    assert "names\\udce9\\x1b[0m.gone" in missing.stderr
    assert "\x1b" not in missing.stderr
    saved = tmp_path / os.fsdecode(b"\xe9\x1b[0m.csv")
    done = oodlib("detect", hostile, "--labels-file", names, "--output", saved)
    assert done.returncode in (0, 3), done.stderr
    assert len(list(csv.reader(saved.open(encoding="utf-8")))) == 1 + len(NAMES)
