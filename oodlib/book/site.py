"""Building the book from its pages and a profile's executed notebooks, and showing it on this machine.

`oodlib.book.staging` lays out a temporary folder; Jupyter Book builds there, and the finished site is moved to
`_build/<profile>/html`.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

from oodlib import provenance
from oodlib.book.chapters import notebook_names, profile_of, source_path
from oodlib.book.launch import Edition
from oodlib.book.staging import SOURCES, mathjax, stage
from oodlib.book.theme_icons import trim_icons
from oodlib.cache import replace_folder, write_text
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import Profile, cannot_write, load_profile, project_root

BUILDERS = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme", "sphinxcontrib-bibtex")
# What of the library lays out and builds the site, and makes what its detector loads.
CODE = (
    "book/*.py",
    "coursework/*.py",
    "report/*.py",
    "provenance.py",
    "detectors/*.py",
    "pocket/*.py",
    "pocket/*.onnx",
)


def build(profile: str = "pocket", *, small: bool = False, published: Edition | None = None) -> tuple[Path, bool]:
    """Build the site from the executed notebooks of a profile, unless nothing that goes into it has changed.

    Warnings are errors. A failed build leaves the site that was there before, and a log.

    Parameters
    ----------
    profile : str
    small : bool
        Apply the profile's `small` block.
    published : Edition, optional
        Where this state of the book is published. Its pages then have launch links, and `launch/` in the site has the
        notebooks that they open.

    Returns
    -------
    (Path, bool)
        The site's first page, and whether it was built now.

    Raises
    ------
    OodlibError
        If a notebook has not been executed since it changed, MathJax is missing, or the build warns or fails.
    """
    chosen = load_profile(profile, small=small)
    root, target = project_root(), chosen.folder / "html"
    pages = {name: _executed(name, profile_of(name, chosen)) for name in notebook_names()}
    digest = _digest(root, chosen, pages, published)
    stamp = chosen.folder / "site.json"
    index = target / "index.html"
    if index.is_file() and stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == {"digest": digest}:
        return index, False
    try:
        with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=".site-") as work:
            source, output = Path(work) / "src", Path(work) / "book"
            stage(root, chosen, pages, source, published)
            html = _jupyter_book(source, output, chosen.folder / "logs" / "site.log")
            trim_icons(html)
            if published:
                shutil.copytree(source / "launch", html / "launch")
            stamp.unlink(missing_ok=True)
            replace_folder(html, target)
            provenance.write_json(stamp, {"digest": digest})
    except OSError as error:
        raise cannot_write(chosen.folder, error) from error
    return index, True


def check_links(profile: str = "pocket", *, small: bool = False, published: Edition | None = None) -> int:
    """Ask every other host that a page links to; return how many addresses answered.

    `_config.yml` says which addresses are not asked, and why.

    Raises
    ------
    OodlibError
        If an address does not answer, with the first three of them; the log names all, and where they stand.
    """
    chosen = load_profile(profile, small=small)
    pages = {name: _executed(name, profile_of(name, chosen)) for name in notebook_names()}
    log = chosen.folder / "logs" / "links.log"
    try:
        with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=".links-") as work:
            source, output = Path(work) / "src", Path(work) / "book"
            stage(project_root(), chosen, pages, source, published)
            checked = _jupyter_book(source, output, log, "linkcheck")
            rows = (checked / "output.json").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise cannot_write(chosen.folder, error) from error
    links = [json.loads(row) for row in rows]
    broken = [link for link in links if link["status"] in ("broken", "timeout")]
    if not broken:
        return len({link["uri"] for link in links if link["status"] in ("working", "redirected")})
    lines = sorted(f"{link['uri']} on {link['filename']}: {link['info']}" for link in broken)
    write_text(log, "\n".join(lines) + "\n")
    named = ", ".join(sorted({link["uri"] for link in broken})[:3])
    raise OodlibError(
        f"{len(broken)} links do not answer, {named} among them: mend them, or say in _config.yml why not"
    )


def serve(profile: str = "pocket", *, port: int = 8000, small: bool = False) -> None:
    """Show the built site on this machine only (127.0.0.1), until interrupted.

    Raises
    ------
    OodlibError
        If there is no site yet or the port is taken.
    """
    folder = load_profile(profile, small=small).folder / "html"
    if not (folder / "index.html").is_file():
        raise OodlibError(f"there is no site for the profile {profile!r} yet: run `make reproduce` first")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise OodlibError(f"port {port} cannot be used ({error.strerror}): choose another one") from error
    with server:
        print(f"The book is at http://127.0.0.1:{server.server_address[1]}/ (stop with Ctrl+C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


def _executed(name: str, profile: Profile) -> provenance.RunRecord:
    """The run record of a page's notebook; refuses a page whose source has changed since."""
    record = provenance.read_record(profile.folder / "runs" / f"{name}.json")
    if record is None or not (profile.folder / "notebooks" / f"{name}.ipynb").is_file():
        raise OodlibError(f"notebooks/{name}.ipynb has not been executed under {profile.name!r}: run `make reproduce`")
    if record.source_sha256 != provenance.file_sha256(source_path(name)):
        raise OodlibError(f"notebooks/{name}.ipynb has changed since it was executed: run `make reproduce`")
    return record


def _digest(root: Path, profile: Profile, pages: dict[str, provenance.RunRecord], published: Edition | None) -> str:
    """Hash of all that goes into the site."""
    mathjax(root)
    sources = [*(root / name for name in (*SOURCES, "package-lock.json")), *(root / "book").rglob("*")]
    sources += (root / "notebooks" / "coursework").glob("*.ipynb")
    folders = {name: profile_of(name, profile).folder for name in pages}
    records = [folder / "runs" / f"{name}.json" for name, folder in folders.items()]
    executed = [folder / "notebooks" / f"{name}.ipynb" for name, folder in folders.items()]
    return provenance.run_id(
        {
            "sources": provenance.tree_sha256(root, sources),
            "pages": provenance.tree_sha256(profile.folder.parent, [*records, *executed]),
            "code": provenance.tree_sha256(
                here := Path(__file__).parents[1], [p for name in CODE for p in here.glob(name)]
            ),
            "published": published and asdict(published),
            "builders": {name: metadata.version(name) for name in BUILDERS},
        }
    )


def _jupyter_book(source: Path, work: Path, log: Path, builder: str = "html") -> Path:
    """Run Jupyter Book with nitpicking on and warnings as errors, and return the folder of its output.

    On failure there is one sentence; the rest is in the log.
    """
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source)]
    command += ["--path-output", str(work), "-n", "-W", "--keep-going", "--all", "--builder", builder]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    built = work / "_build" / "html"  # whatever the builder
    finished = (built / "output.json").is_file() if builder == "linkcheck" else not done.returncode
    if not finished:
        lines = (done.stdout + done.stderr).splitlines()
        complaints = [line for line in lines if "WARNING:" in line or "ERROR:" in line or "Error" in line]
        first = complaints[0].replace(f"{source}{os.sep}", "") if complaints else f"exit code {done.returncode}"
        raise OodlibError(f"the book does not build: {first.strip()} (the whole output is in {log})")
    return built
