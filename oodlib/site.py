"""Building the book from its pages and a profile's executed notebooks, and showing it on this machine.

The pages' sources and the executed notebooks are put together in a temporary folder, so that one `_toc.yml` serves
every profile; Jupyter Book builds there, and the finished site is moved to `_build/<profile>/html`.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

from oodlib import provenance
from oodlib.cache import replace_folder, write_atomically
from oodlib.errors import OodlibError
from oodlib.notebooks import notebook_names, source_path
from oodlib.profiles import Profile, cannot_write, load_profile, project_root

BUILDERS = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme", "sphinxcontrib-bibtex")
# The one script of MathJax that we load, and what it loads by itself: its fonts, and TeX commands met on the way.
MATHJAX = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions")
PLOTLY = "plotly.js-basic-dist-min/plotly-basic.min.js"  # among the npm packages; for the explorer's page alone


def build(profile: str = "pocket", *, small: bool = False) -> tuple[Path, bool]:
    """Build the site from the executed notebooks of a profile, unless nothing that goes into it has changed.

    Warnings are errors. A failed build leaves the site that was there before, and a log.

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
    pages = {name: _executed(name, chosen) for name in notebook_names()}
    digest = _digest(root, chosen, pages)
    stamp = chosen.folder / "site.json"
    index = target / "index.html"
    if index.is_file() and stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == {"digest": digest}:
        return index, False
    try:
        with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=".site-") as work:
            source, made = Path(work) / "src", Path(work) / "book"
            _stage(root, chosen, pages, source)
            _jupyter_book(source, made, chosen.folder / "logs" / "site.log")
            stamp.unlink(missing_ok=True)
            replace_folder(made / "_build" / "html", target)
            provenance.write_json(stamp, {"digest": digest})
    except OSError as error:
        raise cannot_write(chosen.folder, error) from error
    return index, True


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


def _mathjax(root: Path) -> Path:
    """The folder of MathJax's scripts among the npm packages."""
    folder = root / "node_modules" / "mathjax" / "es5"
    if not all((folder / part).exists() for part in MATHJAX):
        raise OodlibError("MathJax is missing: run `npm ci` (make setup)")
    return folder


def _digest(root: Path, profile: Profile, pages: dict[str, provenance.RunRecord]) -> str:
    """Hash of all that goes into the site."""
    _mathjax(root)
    sources = [root / "_config.yml", root / "_toc.yml", root / "package-lock.json", *(root / "book").rglob("*")]
    records = [profile.folder / "runs" / f"{name}.json" for name in pages]
    executed = [profile.folder / "notebooks" / f"{name}.ipynb" for name in pages]
    return provenance.run_id(
        {
            "sources": provenance.tree_sha256(root, sources),
            "pages": provenance.tree_sha256(profile.folder, [*records, *executed]),
            "code": provenance.tree_sha256(
                Path(__file__).parent, [Path(__file__), Path(__file__).with_name("pages.py")]
            ),
            "builders": {name: metadata.version(name) for name in BUILDERS},
        }
    )


def _stage(root: Path, profile: Profile, pages: dict[str, provenance.RunRecord], source: Path) -> None:
    """Lay out the build's source folder: pages, executed notebooks with their fold, figures, MathJax."""
    from oodlib.pages import how_made  # imports IPython, not needed where nothing changed

    source.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, source / name)
    shutil.copytree(root / "book", source / "book")
    for made in ("figures", "fragments"):
        if (profile.folder / made).is_dir():
            shutil.copytree(profile.folder / made, source / made)
    for name, record in pages.items():
        notebook = json.loads((profile.folder / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        fold = {"cell_type": "markdown", "id": "how-made", "metadata": {}, "source": how_made(record)}
        notebook["cells"] = [*_open_with_the_finding(notebook["cells"]), fold]
        text = json.dumps(notebook)
        write_atomically(source / "notebooks" / f"{name}.ipynb", functools.partial(_write_text, text=text))
    for part in MATHJAX:
        origin, target = _mathjax(root) / part, source / "book" / "_static" / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(origin, target) if origin.is_dir() else shutil.copy(origin, target)
    if (profile.folder / "explorer").is_dir():
        _stage_explorer(root, profile.folder / "explorer", source / "book" / "_static")


def _stage_explorer(root: Path, made: Path, static: Path) -> None:
    """Lay out what the interactive map loads: the points and pictures that its notebook made, and plotly."""
    script = root / "node_modules" / PLOTLY
    if not script.is_file():
        raise OodlibError("plotly is missing: run `npm ci` (make setup)")
    shutil.copytree(made, static / "explorer")
    (static / "plotly").mkdir()
    shutil.copy(script, static / "plotly")


def _open_with_the_finding(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Move what cells tagged `lead` show to right under the title; their code stays where it ran."""
    finding: list[str] = []
    for cell in cells:
        if "lead" in cell["metadata"].get("tags", []):
            shown = [output["data"]["text/markdown"] for output in cell["outputs"]]
            finding += ["".join(part) for part in shown]
            cell["outputs"] = []
    title, _, text = "".join(cells[0]["source"]).partition("\n\n")
    opening = [title, "\n\n".join(finding), text]
    kinds = {"cell_type": "markdown", "metadata": {}}
    parts = [{**kinds, "id": f"opening-{k}", "source": part} for k, part in enumerate(opening) if part]
    return [*parts, *cells[1:]]


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _jupyter_book(source: Path, work: Path, log: Path) -> None:
    """Run Jupyter Book with nitpicking on and warnings as errors; one sentence on failure, the rest in the log."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(source)]
    command += ["--path-output", str(work), "-n", "-W", "--keep-going", "--all"]
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode or not (work / "_build" / "html" / "index.html").is_file():
        lines = (done.stdout + done.stderr).splitlines()
        complaints = [line for line in lines if "WARNING:" in line or "ERROR:" in line or "Error" in line]
        first = complaints[0].replace(f"{source}{os.sep}", "") if complaints else f"exit code {done.returncode}"
        raise OodlibError(f"the book does not build: {first.strip()} (the whole output is in {log})")
