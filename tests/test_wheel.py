"""The wheel on its own: the core in a fresh environment, an empty folder, no checkout and no Node."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

import oodlib

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
UV = (sys.executable, "-m", "uv", "--quiet")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, because a build leaves folders where it works."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "oodlib", source / "oodlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*UV, "build", "--wheel", "--out-dir", folder, source], check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Iterator[Path]:
    """An environment with the wheel and what it asks for, in the versions of requirements.lock: 6 GB, so not kept."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([*UV, "venv", "--python", sys.executable, folder], check=True)
    locked = ["--constraint", ROOT / "requirements.lock"]
    subprocess.run([*UV, "pip", "install", "--python", folder, *locked, wheel], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with three pictures and nothing above it."""
    folder = tmp_path_factory.mktemp("place")
    for name, colours in {"red": ("red", "red"), "blue": ("blue", "navy"), "green": ("green", "lime")}.items():
        picture = Image.new("RGB", (96, 96), "white")
        ImageDraw.Draw(picture).ellipse((16, 16, 80, 80), fill=colours[0], outline=colours[1], width=6)
        picture.save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def run(environment, place, tmp_path_factory) -> Run:
    """Run a program of the environment in that folder; it finds no other program, no Node and no kept files."""
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    left = {name: value for name, value in os.environ.items() if not re.match("OODLIB|PYTHON|VIRTUAL_ENV|PATH$", name)}
    variables = left | {"PATH": str(programs), "OODLIB_HOME": str(tmp_path_factory.mktemp("home"))}

    def program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [shutil.which(name, path=programs) or name, *arguments]
        return subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, check=False)

    return program


def test_the_wheel_holds_its_types_and_the_licence_of_its_words(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    stubs = {path.relative_to(ROOT).as_posix() for path in (ROOT / "oodlib").rglob("*.pyi")}
    assert stubs
    assert stubs | {"oodlib/py.typed", "oodlib/datasets/wordnet.LICENSE", "oodlib/datasets/wordnet.txt.xz"} <= names
    assert {"oodlib/pocket/oodlib.json", "oodlib/pocket/no_head.safetensors"} <= names


def test_the_environment_is_the_wheels_alone(run, environment):
    program = "import shutil, oodlib; print(oodlib.__file__, shutil.which('node'), oodlib.__version__)"
    done = run("python", "-c", program)
    file, node, version = done.stdout.split()
    assert Path(file).is_relative_to(environment)
    assert node == "None"
    assert version == oodlib.__version__
    for package in ("matplotlib", "peft", "IPython", "resvg_py"):
        assert "ModuleNotFoundError" in run("python", "-c", f"import {package}").stderr


def test_detection_with_outlier_words(run):
    done = run("oodlib", "detect", "red.png", "blue.png", "--labels", "red ball", "banana", "--format", "json")
    assert done.returncode in (0, 3), done.stderr  # 3: one of them is out
    rows = json.loads(done.stdout)["images"]
    assert [row["image"] for row in rows] == ["red.png", "blue.png"]
    assert rows[0]["best_label"] == "red ball"
    assert all(row["nearest_outlier"] for row in rows), "the default method uses WordNet's words"


def test_search(run):
    done = run("oodlib", "search", "a red ball", ".", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"][0]["image"] == "red.png"


def test_the_doctor_misses_nothing(run):
    done = run("oodlib", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "plots (missing)" in " ".join(done.stdout.replace("│", " ").split())
    assert "everything is there" in done.stdout


def test_the_lines_of_the_readme(run):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.M)
    (lines,) = (block.replace("picture.png", "red.png") for block in blocks)
    *before, last = lines.strip().splitlines()
    done = run("python", "-c", "\n".join([*before, f"scores = {last}", "print(*scores.shape, float(scores[0]))"]))
    assert done.returncode == 0, done.stderr
    number, score = done.stdout.split()
    assert number == "1"
    assert abs(float(score)) < 100, "log-odds"


@pytest.mark.parametrize("command", ["run", "book", "coursework", "serve", "embed --profile pocket"])
def test_what_needs_a_checkout_says_so(run, command):
    done = run("oodlib", *command.split())
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: no checkout of the book is at or above the current folder")


def test_the_other_commands_need_no_checkout(run, place):
    (place / "names.txt").write_text("cat\ndog\n", encoding="utf-8")
    for command in ("data list", "embed .", "envision --dry-run --names names.txt"):
        done = run("oodlib", *command.split())
        assert done.returncode == 0, f"{command}: {done.stderr}"


def test_an_extra_that_is_missing_is_named(run):
    done = run("oodlib", "detect", "red.png", "--labels", "red ball", "banana", "--output", "report.html")
    assert done.returncode == 1
    assert "error: the Python package matplotlib is missing: pip install 'oodlib[plots]'" in done.stderr.splitlines()
