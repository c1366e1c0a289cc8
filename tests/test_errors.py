"""The sentence about a package that is missing, where an extra brings it, from every place that may say it."""

import subprocess
import sys
from pathlib import Path

import pytest

from oodlib.datasets.emojishift import draw
from oodlib.errors import OodlibError, naming_extras
from oodlib.registry import Registry
from oodlib.tuning import Tuner

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("package", "extra"), [("papermill", "book"), ("matplotlib.figure", "plots"), ("resvg_py", "train")]
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    top = package.partition(".")[0]
    with (
        pytest.raises(OodlibError, match=rf"package {top} is missing: pip install 'oodlib\[{extra}\]'"),
        naming_extras(),
    ):
        __import__(package)


def test_other_errors_pass():
    with pytest.raises(ModuleNotFoundError, match="nowhere"), naming_extras():
        __import__("nowhere")
    with pytest.raises(ImportError, match="no_such_name"), naming_extras():
        from pathlib import no_such_name  # noqa: F401


def test_a_method_whose_package_is_missing_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "oodlib.tuning.lora", raising=False)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(OodlibError, match=r"pip install 'oodlib\[tuning\]'"):
        Registry("oodlib.tuning", Tuner, "method").find("lora")


def test_drawing_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(OodlibError, match=r"pip install 'oodlib\[train\]'"):
        draw("<svg/>")


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("matplotlib", ["compare", "in", "out", "--output", "folder"], "plots"),
        ("papermill", ["run", "zero_shot", "-p", "n_boot=10"], "book"),
    ],
)
def test_a_command_names_its_extra_before_anything_takes_time(package, arguments, extra):
    program = f"import sys; sys.modules[{package!r}] = None; from oodlib.cli.main import app; app({arguments!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1] == f"error: the Python package {package} is missing: pip install 'oodlib[{extra}]'"
    )
