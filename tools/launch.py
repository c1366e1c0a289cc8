"""Make this checkout's library usable in a running notebook, as on Google Colab: its packages, itself, the emoji sets.

The first code cell of a launchable notebook runs it inside the notebook's own process. Packages that are there and fit
are kept, so that a service's own torch stays. Those that run the notebook itself are never touched: replacing IPython
or its kernel under a running notebook breaks it. A second run only names the versions.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import runpy
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = ".launched"  # inside the checkout: the interpreter that it was installed for
# What shows a notebook brings these itself; only `oodlib run` needs them.
KERNEL = ("ipykernel", "ipython", "nbclient", "nbformat", "papermill", "prompt-toolkit", "pyzmq", "tornado")
EXTRAS = ("plots", "tuning", "train", "book")  # what notebooks use beside the library's own packages
SITE = ("jupyter-book", "sphinx-exercise")  # only `oodlib book` needs them
SHOWN = ("oodlib", "torch", "open-clip-torch", "numpy", "pandas")


def name_of(requirement: str) -> str:
    """The package that a requirement is about, spelt as indexes do: "open_clip_torch>=3" is "open-clip-torch"."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement.strip(), maxsplit=1)[0]).lower()


def requirements(root: Path) -> list[str]:
    """What the library and its notebooks need, without what runs a notebook and what builds the site."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {})
    lines = [*project["dependencies"], *(line for extra in EXTRAS for line in extras.get(extra, []))]
    return [line for line in lines if name_of(line) not in (*KERNEL, *SITE, project["name"])]


def installed() -> dict[str, str]:
    """Version of every package that is installed now."""
    return {name_of(found.name): found.version for found in importlib.metadata.distributions() if found.name}


def replaced(before: Mapping[str, str], after: Mapping[str, str], loaded: Iterable[str]) -> list[str]:
    """Packages of which this process has loaded a version that is no longer the installed one.

    Parameters
    ----------
    before, after : mapping of package to version
    loaded : iterable of str
        Names of loaded modules, as in `sys.modules`.
    """
    owners = importlib.metadata.packages_distributions()
    in_use = {name_of(owner) for module in loaded for owner in owners.get(module.partition(".")[0], [])}
    return sorted(name for name in in_use & before.keys() if before[name] != after.get(name))


def pip(*arguments: str) -> None:
    """Run pip; its own words explain a failure."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *arguments]
    if subprocess.run(command).returncode:
        raise SystemExit("launch: pip failed, its words are above: restart the session and run this cell again")


def install(root: Path) -> list[str]:
    """Install what is missing; returns the packages that ask for a new session."""
    before = installed()
    print("launch: installing what the library needs ...", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "constraints.txt"
        kept.write_text("".join(f"{name}=={before[name]}\n" for name in KERNEL if name in before), encoding="ascii")
        pip("--constraint", str(kept), *requirements(root))
    pip("--no-deps", "--editable", str(root))
    return replaced(before, installed(), list(sys.modules))


def main(root: Path = ROOT) -> None:
    """Install what is missing, make the library importable here, and name the versions."""
    stamp = root / STAMP
    known = stamp.is_file() and stamp.read_text(encoding="utf-8") == sys.executable
    stale = [] if known else install(root)
    setup = runpy.run_path(str(root / "tools" / "setup.py"), run_name="setup")  # emoji sets come as by `make setup`
    try:
        setup["install_node_packages"](root, Path(sys.prefix))
    except setup["SetupError"] as error:
        raise SystemExit(f"launch: {error}") from None
    stamp.write_text(sys.executable, encoding="utf-8")
    os.environ["OODLIB_PROJECT"] = str(root)
    if str(root) not in sys.path:  # a running process does not read what an editable install leaves
        sys.path.insert(0, str(root))
    found = installed()
    print("launch:", ", ".join(f"{name} {found.get(name, 'missing')}" for name in SHOWN))
    if stale:
        print(
            f"launch: this session still has older versions of {', '.join(stale)} loaded: restart it "
            "(in Colab: Runtime, Restart session), then run this cell again"
        )


if __name__ == "__main__":
    main()
