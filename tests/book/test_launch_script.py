"""tools/launch.py in a fresh environment: what it installs, what it leaves alone, what it says."""

import importlib.util
import json
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("oodlib_launch_script", ROOT / "tools" / "launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_runs_the_notebook_is_not_asked_for(script):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = project["dependencies"] + [
        line for extra in ("plots", "tuning", "train", "book") for line in extras[extra]
    ]
    asked = script.requirements(ROOT)
    left_out = {canonicalize_name(Requirement(line).name) for line in set(declared) - set(asked)}
    kernel, site = {"ipykernel", "ipython", "nbclient", "nbformat", "papermill"}, {"jupyter-book", "sphinx-exercise"}
    assert left_out == kernel | site | {"oodlib"}
    assert [script.name_of(line) for line in declared] == [
        canonicalize_name(Requirement(line).name) for line in declared
    ]


def test_a_loaded_package_that_was_replaced_asks_for_a_new_session(script):
    before = {"numpy": "1.0", "pandas": "2.0", "hypothesis": "1"}
    after = {"numpy": "2.0", "pandas": "2.0", "hypothesis": "2"}
    assert script.replaced(before, after, ["numpy.linalg", "pandas", "json"]) == ["numpy"]
    assert script.replaced(before, after, ["json"]) == []


def write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


BACKEND = """\
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "oodlib-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        info = "oodlib-0.1.0.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: oodlib\\nVersion: 0.1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout of a toy library, with the real tools, whose packages lie in a folder."""
    root = tmp_path / "checkout"
    (root / "oodlib").mkdir(parents=True)
    (root / "oodlib" / "__init__.py").write_text("here = True\n")
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name, version in (("numpy", "2.0"), ("pandas", "3.0"), ("ipython", "9.0")):
        write_wheel(tmp_path, name, version)
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "oodlib"\nversion = "0.1.0"\ndependencies = ["numpy>=2", "pandas>=3", "ipython>=9"]\n'
    )
    npm = {"name": "toy", "version": "1.0.0"}
    (root / "package.json").write_text(json.dumps(npm))
    (root / "package-lock.json").write_text(json.dumps(npm | {"lockfileVersion": 3, "packages": {"": npm}}))
    for name, value in (("PIP_FIND_LINKS", tmp_path), ("PIP_NO_INDEX", "1"), ("npm_config_cache", tmp_path / "npm")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return root


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """An environment with pip and nothing else; tests work on copies."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def python(bare, tmp_path) -> Path:
    shutil.copytree(bare, tmp_path / "venv", symlinks=True)
    return tmp_path / "venv" / "bin" / "python"


@pytest.mark.slow
def test_it_completes_a_machine_that_has_some_of_it(checkout, tmp_path, python):
    """numpy is too old and loaded, pandas is missing, IPython is old but runs the notebook."""
    for name, version in (("numpy", "1.0"), ("ipython", "7.34.0")):
        write_wheel(tmp_path, name, version)
        subprocess.run([python, "-m", "pip", "install", "-q", f"{name}=={version}"], check=True)
    program = (
        "import runpy, sys, numpy\n"
        "runpy.run_path(sys.argv[1], run_name='__main__')\n"
        "import os, oodlib, pandas, ipython\n"
        "print(oodlib.here, pandas.version, ipython.version, os.environ['OODLIB_PROJECT'])\n"
    )

    def launched() -> str:
        command = [python, "-c", program, str(checkout / "tools" / "launch.py")]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first, second = launched(), launched()
    assert "launch: oodlib 0.1.0, torch missing, open-clip-torch missing, numpy 2.0, pandas 3.0" in first
    assert "older versions of numpy loaded: restart it" in first
    assert first.endswith(f"True 3.0 7.34.0 {checkout}\n")
    assert "installing" not in second
    assert "restart" not in second
    assert (checkout / "node_modules").is_dir()


@pytest.mark.slow
def test_a_failure_is_one_sentence_and_is_tried_again(checkout, python, script):
    toml = checkout / "pyproject.toml"
    toml.write_text(toml.read_text().replace("pandas>=3", "pandas>=4"))
    done = subprocess.run([python, checkout / "tools" / "launch.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "launch: pip failed, its words are above" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / script.STAMP).exists()
