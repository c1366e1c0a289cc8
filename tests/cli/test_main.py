import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from oodlib.cli.main import app

ROOT = Path(__file__).parents[2]


BUILD = {"COLUMNS": "100", "OODLIB_BUILD": str(ROOT / "_build" / "test-build")}


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it; it takes a second and more to import what this process has imported already."""
    return subprocess.run(
        [sys.executable, "-m", "oodlib.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **BUILD, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )


def oodlib(*arguments: str, **environment: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, arguments, env={**BUILD, **environment})


def sentence(done: subprocess.CompletedProcess[str] | Result) -> str:
    """The one line of an expected error."""
    code = done.returncode if isinstance(done, subprocess.CompletedProcess) else done.exit_code
    assert code == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def test_help_names_every_command_without_loading_torch():
    done = oodlib("--help")
    assert done.exit_code == 0
    commands = ("detect", "search", "compare", "data", "embed", "envision", "run", "book", "serve", "doctor")
    for command in commands:
        assert re.search(rf"\b{command}\b", done.stdout)
        assert oodlib(command, "--help").exit_code == 0
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, oodlib.cli.main; print('torch' in sys.modules)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert loaded.stdout.strip() == "False"


def test_book_needs_a_whole_edition():
    assert "launch links need both" in sentence(process("book", "--ref", "v0.1.0"))
    assert "'main' names no release" in sentence(oodlib("book", OODLIB_REPOSITORY="a/b", OODLIB_REF="main"))


@pytest.fixture
def eighty(sample_tree, tmp_path) -> dict[str, str]:
    """A checkout whose profile has eighty pictures, and a cache folder with nothing in it: the environment for both."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "_toc.yml").write_text("root: book/index\n")
    profile = {
        "title": "Eighty",
        "encoder": {"name": "pocket"},
        "dataset": "photos",
        "photos": {"root": "PICTURES_ROOT", "sets": {"imagenet-10": {"far": ["mnist"]}}},
        "templates": "photo",
        "detectors": {"mcm": {}},
        "id_sets": ["imagenet-10"],
        "n_boot": 10,
    }
    (tmp_path / "profiles" / "pocket.yaml").write_text(yaml.safe_dump(profile))
    home = str(tmp_path / "home")
    return {"OODLIB_PROJECT": str(tmp_path), "OODLIB_HOME": home, "PICTURES_ROOT": str(sample_tree)}


def test_embed_a_second_time_reads_what_is_kept(pocket, eighty, monkeypatch):
    asked = []
    monkeypatch.setattr("oodlib.encoders.load.load_encoder", lambda **options: asked.append(options) or pocket)
    first = oodlib("embed", **eighty)
    monkeypatch.setattr(type(pocket), "encode_images", lambda *_, **__: pytest.fail("encoded again"))
    second = oodlib("embed", **eighty)
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert asked[0]["pretrained"] == "random", "the pictures are made up"
    for done, kept in ((first, (0, 0)), (second, (20, 60))):
        assert f"imagenet-10: 20 pictures, {kept[0]} of them kept already" in done.stdout
        assert f"mnist: 60 pictures, {kept[1]} of them kept already" in done.stdout
    stores = [re.findall(r"store +(\S+)", done.stdout) for done in (first, second)]
    assert len(set(stores[0])) == 2
    assert stores[0] == stores[1]


def test_doctor_is_content_here():
    done = process("doctor")
    assert done.returncode == 0, done.stdout
    assert "everything is there" in done.stdout


def test_doctor_names_a_missing_package_and_a_cache_that_cannot_be_written(tmp_path):
    done = oodlib("doctor", OODLIB_NODE_MODULES=str(tmp_path), OODLIB_HOME="/proc/oodlib")
    assert done.exit_code == 1
    text = " ".join(done.stdout.replace("│", " ").split())
    assert "npm package @iconify-json/noto is missing" in text
    if Path("/proc").is_dir():
        assert "cannot write in the cache folder" in text


def test_unknown_profile_is_one_sentence_with_the_choices():
    assert "pocket" in sentence(oodlib("run", "--profile", "poket"))
    assert "pocket" in sentence(oodlib("embed", "--profile", "poket"))


def test_unknown_notebook_and_mistyped_parameter_are_one_sentence():
    assert "zero_shot" in sentence(process("run", "zero_shoot"))
    assert "temprature" in sentence(oodlib("run", "zero_shot", "-p", "temprature=1"))
    assert "NAME=VALUE" in sentence(oodlib("run", "zero_shot", "-p", "temperature"))
    assert "name one" in sentence(oodlib("run", "-p", "seed=1"))
    assert "choose it with --profile" in sentence(oodlib("run", "zero_shot", "-p", "profile=imagenet"))
    assert "choose it with --small" in sentence(oodlib("run", "zero_shot", "-p", "small=true"))


def test_missing_npm_package_is_one_sentence(tmp_path):
    line = sentence(
        oodlib("data", "get", "emojishift", OODLIB_NODE_MODULES=str(tmp_path), OODLIB_HOME=str(tmp_path / "home"))
    )
    assert "is missing" in line
    assert "npm ci" in line
    assert not list((tmp_path / "home").rglob("*.png"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write")
def test_cache_that_cannot_be_written_is_one_sentence():
    line = sentence(oodlib("data", "get", "emojishift", OODLIB_HOME="/proc/oodlib"))
    assert "/proc/oodlib" in line
    assert "OODLIB_HOME" in line


def test_truncated_weights_are_one_sentence(tmp_path):
    copy = tmp_path / "oodlib"
    shutil.copytree(ROOT / "oodlib", copy, ignore=shutil.ignore_patterns("__pycache__"))
    weights = copy / "pocket" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    (tmp_path / "album").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "album" / "one.png")
    program = "from oodlib.cli.main import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", program, "embed", str(tmp_path / "album")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OODLIB_HOME": str(tmp_path / "home"), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
    line = sentence(done)
    assert "weights.safetensors are damaged" in line
    assert not list((tmp_path / "home").rglob("*.safetensors"))
