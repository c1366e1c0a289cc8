"""What a command must not import: a budget of modules, which holds on any machine, unlike one of seconds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchvision", "sklearn", "open_clip", "transformers", "timm", "scipy.stats", "matplotlib", "IPython"}
LABELS = ["--labels", "banana", "tiger", "pineapple"]
# Runs the command as its entry point does, then tells what is imported.
PROGRAM = f"""
import atexit, sys
atexit.register(lambda: print("HEAVY", *sorted({HEAVY!r} & set(sys.modules)), file=sys.stderr))
from oodlib.cli.main import app
app()
"""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def imported(*arguments: object) -> list[str]:
    """The heavy modules that a command imports; it must succeed."""
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1].split()[1:]


@pytest.fixture(scope="module")
def album(drawings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    shutil.copy(drawings["tiger"], folder / "tiger.png")
    return folder


def test_the_budget_can_be_exceeded():
    program = PROGRAM.replace("from oodlib", "import sklearn, scipy.stats\nfrom oodlib")
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stderr.splitlines()[-1].split() == ["HEAVY", "scipy.stats", "sklearn"]


@pytest.mark.parametrize("arguments", [["--help"], ["detect", "--help"], ["doctor"]], ids=" ".join)
def test_help_and_the_doctor_come_at_once(arguments):
    assert imported(*arguments) == []


def test_detect_and_search_import_no_torch(album, tmp_path):
    guard = tmp_path / "guard.safetensors"
    run("detect", album, *LABELS, "--save", guard)  # the first run may fit
    assert imported("detect", album, *LABELS) == []
    assert imported("detect", album, "--load", guard) == []
    assert imported("search", "a tiger", album) == []
    assert imported("embed", album) == []


def test_a_page_on_pocketclip_and_the_detector_for_a_page_import_no_open_clip():
    program = """
import sys
from oodlib.experiments import Experiment, profiles
from oodlib.report import try_it_files
Experiment.of(profiles.load_profile("pocket", small=True))
print("HEAVY", *sorted({"torchvision", "open_clip", "transformers", "timm"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["HEAVY"]


def test_a_picture_not_seen_before_needs_no_torch_either(drawings, album, tmp_path):
    run("detect", album, *LABELS)
    shutil.copy(drawings["banana"], tmp_path / "other.png")
    assert imported("detect", tmp_path / "other.png", *LABELS) == []
