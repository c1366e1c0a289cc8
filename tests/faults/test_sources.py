"""What a person names to be read may be a pipe, a socket or a device: it is refused by name, and nothing waits."""

import os
import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oodlib.cli.main import app
from oodlib.datasets.class_lists import sample
from oodlib.encoders.weight_files import how_trained
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import load_profile
from oodlib.guard.images import look
from oodlib.guard.label_files import read_labels
from oodlib.outlier_labels.envision import EnvisionedList
from oodlib.prompts.capabilities import read_capabilities

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")


@pytest.fixture(params=["pipe", "socket", "device", "folder"])
def kind(request):
    return request.param


def put(kind: str, path: Path) -> Path:
    """Something at `path` that is no plain file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's address is short
        try:
            socket.socket(socket.AF_UNIX).bind(path.name)
        finally:
            os.chdir(here)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["detect", "ALBUM", "--labels-file", "IT"], "names.txt"),
        (["detect", "ALBUM", "--labels-file", "IT"], "names.json"),
        (["detect", "ALBUM", "--load", "IT"], "mine.safetensors"),
        (["envision", "--names", "IT", "--dry-run"], "names.txt"),
        (["compare", "IT", "ALBUM"], "pictures.csv"),
        (["detect", "ALBUM", "--labels", "a", "--encoder", "ViT-B-32", "--pretrained", "IT"], "mine.pt"),
        (["detect", "ALBUM", "--labels", "a", "--encoder", "local-dir:FOLDER"], "oodlib.json"),
        (["detect", "ALBUM", "--labels", "a", "--encoder", "local-dir:FOLDER"], "open_clip_config.json"),
    ],
)
def test_an_argument_that_is_no_plain_file_is_refused_at_once(words, name, kind, album, tmp_path):
    it = put(kind, tmp_path / name)
    given = [
        word.replace("IT", str(it)).replace("ALBUM", str(album)).replace("FOLDER", str(tmp_path)) for word in words
    ]
    if "compare" in given or "ViT-B-32" in given:
        import oodlib.encoders.load
        import oodlib.guard.compare  # noqa: F401 (torch takes its time)
    start = time.monotonic()
    done = CliRunner().invoke(app, given)
    assert time.monotonic() - start < 2
    assert done.exit_code == 1, (done.output, done.exception)
    assert done.stderr.startswith("error: ")
    assert it.name in done.stderr or "local-dir" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_pictures_that_are_no_plain_files_are_listed_with_the_reason(album, tmp_path):
    put("pipe", album / "pipe.png")
    put("device", album / "zero.png")
    done = CliRunner().invoke(app, ["detect", str(album), "--labels", "cat", "dog", "--format", "csv"])
    assert done.exit_code == 4, done.output
    assert done.stdout.count("is no file: name a picture") == 2
    nothing = CliRunner().invoke(app, ["detect", str(album), "--labels", "cat", "--calibrate", str(album / "pipe.png")])
    assert nothing.exit_code == 1
    assert "pipe.png" in nothing.stderr


@pytest.mark.parametrize("images", ["", ["a.png", ""]])
def test_an_empty_path_is_not_taken_for_the_current_folder(images):
    with pytest.raises(OodlibError, match="one of the paths is empty: name a file or a folder"):
        look(None, images)  # `detect`, `search` and `--calibrate` all end here


DEEP = '{"model_cfg":' * 1000 + "1" + "}" * 1000


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("names.json", read_labels),
        ("oodlib.json", lambda path: read_capabilities(path.parent)),
        ("list.json", EnvisionedList.read),
        ("SAMPLE.json", lambda path: sample(path.parent)),
        (
            "open_clip_config.json",
            lambda path: how_trained("ViT-B-32", path.with_name("mine.pt"), quick_gelu=None, like=None, stated=None),
        ),
    ],
)
@pytest.mark.parametrize("text", [DEEP, DEEP.replace('{"model_cfg":', "[").replace("}", "]"), '{"a": "\ud800'])
def test_json_that_is_too_deep_or_not_utf_8_is_one_sentence(name, read, text, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(OodlibError, match=name):
        read(path)


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, "a: \udcff", None])
def test_a_profile_that_cannot_be_read_is_one_sentence(text, tmp_path, monkeypatch):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "oodlib"\n')
    path = tmp_path / "profiles" / "mine.yaml"
    if text is None:
        path.symlink_to(put("device", tmp_path / "zero"))
    else:
        path.write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.setattr("oodlib.experiments.profiles.profile_path", lambda _: path)
    with pytest.raises(OodlibError, match=r"mine\.yaml"):
        load_profile("mine")
