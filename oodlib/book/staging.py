"""Laying out what Jupyter Book builds from: the pages, the executed notebooks, and everything that they link to.

`_toc.yml` serves every profile, because the notebooks of the chosen one are copied to where it looks for them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from oodlib.book.back_matter import cite, wall_times
from oodlib.book.chapters import profile_of, source_path
from oodlib.book.folds import name_folds, show_parameters_once
from oodlib.book.launch import Edition, launchable
from oodlib.cache import write_text
from oodlib.coursework.make import stage as stage_coursework
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import Profile, load_profile
from oodlib.provenance import RunRecord

# The one script of MathJax that we load, and what it loads by itself: its fonts, and TeX commands met on the way.
MATHJAX = ("tex-mml-chtml.js", "output/chtml/fonts", "input/tex/extensions")
PLOTLY = "plotly.js-basic-dist-min/plotly-basic.min.js"  # among the npm packages; for the explorer's page alone
SOURCES = ("_config.yml", "_toc.yml", "CHANGELOG.md", "CITATION.cff")  # read from the checkout, in addition to `book/`
SHOWN = ("figures", "fragments", "tables")  # folders of a profile that pages show or link to
SAMPLE = """:::{warning}
**The numbers on this page mean nothing.** The pictures are made up and the model has random weights: this run shows
no more than that everything runs. Put the real sets into the folder of data sets and run again.
:::"""
READ = ("explorer", "cut")  # folders of a profile that the scripts of pages read
DATA = {"results": ".csv", "scores": ".parquet"}  # what a page offers to readers, by folder


def mathjax(root: Path) -> Path:
    """The folder of MathJax's scripts among the npm packages.

    Raises
    ------
    OodlibError
        If it is not there.
    """
    folder = root / "node_modules" / "mathjax" / "es5"
    if not all((folder / part).exists() for part in MATHJAX):
        raise OodlibError("MathJax is missing: run `npm ci` (make setup)")
    return folder


def stage(
    root: Path, profile: Profile, pages: Mapping[str, RunRecord], source: Path, published: Edition | None = None
) -> None:
    """Lay out the build's source folder.

    Parameters
    ----------
    root : Path
        The checkout.
    profile : Profile
        Whose executed notebooks.
    pages : mapping of notebook name to RunRecord
    source : Path
        The folder to make.
    published : Edition, optional
        Adds launch links to the pages, and launchable notebooks in `launch/`.
    """
    source.mkdir(parents=True)
    for name in SOURCES:
        if (root / name).is_file():
            shutil.copy(root / name, source / name)
    shutil.copytree(root / "book", source / "book")
    for name, record in pages.items():
        own = profile_of(name, profile)
        _stage_products(root, record, own.folder, source)
        _stage_page(name, record, own, source, published)
    _write(source / "fragments" / "wall_times.md", wall_times(pages))
    if (root / "CITATION.cff").is_file():
        citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
        _write(source / "fragments" / "cite.md", cite(citation, published))
    for part in MATHJAX:
        origin, target = mathjax(root) / part, source / "book" / "_static" / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(origin, target) if origin.is_dir() else shutil.copy(origin, target)
    if (source / "book" / "try_it.md").is_file():
        _stage_detector(root, profile, source / "book" / "_static" / "tryit")
    if (root / "notebooks" / "coursework").is_dir():
        stage_coursework(source, load_profile("pocket", small=profile.is_small))  # the assignments are about EmojiShift


def _stage_products(root: Path, record: RunRecord, folder: Path, source: Path) -> None:
    """Copy what a page shows or links to; for the interactive map also plotly."""
    static = source / "book" / "_static"
    for path in record.products:
        if Path(path).parts[0] in (*SHOWN, *READ):
            place = static if Path(path).parts[0] in READ else source
            _copy(folder / path, place / path)
    if (static / "explorer").is_dir() and not (static / "plotly").is_dir():
        script = root / "node_modules" / PLOTLY
        if not script.is_file():
            raise OodlibError("plotly is missing: run `npm ci` (make setup)")
        (static / "plotly").mkdir()
        shutil.copy(script, static / "plotly")


def _stage_detector(root: Path, profile: Profile, folder: Path) -> None:
    """Write what the detector in the page loads: about EmojiShift, as the assignments."""
    from oodlib.experiments.experiment import Experiment  # imports torch, not needed where nothing changed
    from oodlib.report.try_it_files import write_try_it

    write_try_it(folder, Experiment.of(load_profile("pocket", small=profile.is_small)), root / "node_modules")


def _stage_page(name: str, record: RunRecord, profile: Profile, source: Path, published: Edition | None) -> None:
    """Put one executed notebook in its place, with its links above and its fold below, and what it links to.

    Every run's record goes to `runs/<id>.json`, where `oodlib.provenance.run_link` looks for it.
    """
    from oodlib.report.pages import how_made  # imports IPython, not needed where nothing changed

    path = f"notebooks/{name}.ipynb"
    notebook = json.loads((profile.folder / path).read_text(encoding="utf-8"))
    reads = notebook["metadata"].get("oodlib", {}).get("reads", [])
    data = _data([*record.products, *reads], profile.folder)
    place = f"downloads/{profile.name}"  # two profiles of one book may have results of one name
    for taken in (path, *data):
        _copy(profile.folder / taken, source / place / taken)
    _copy(profile.folder / "runs" / f"{name}.json", source / "runs" / f"{record.run}.json")
    written = f"/downloads/source/{name}.source.ipynb"
    _copy(source_path(name), source / written[1:])
    cells = show_parameters_once(notebook["cells"])
    name_folds(cells)
    title, *rest = _open_with_the_finding(cells)
    linked = [f"/{place}/{one}" for one in data]
    below = [_markdown("data", _data_line(linked))] if data else []
    warned = [_markdown("sample", SAMPLE)] if profile.is_sample else []
    run_it = _markdown("run-it", _run_line(name, f"{place}/{path}", published))
    notebook["cells"] = [title, *warned, run_it, *rest, *below]
    notebook["cells"].append(_markdown("how-made", how_made(record, written, linked)))
    _write(source / path, json.dumps(notebook))
    if published:
        stripped = json.loads(source_path(name).read_text(encoding="utf-8"))
        text = json.dumps(launchable(stripped, published), indent=1, ensure_ascii=False) + "\n"
        _write(source / "launch" / f"{name}.ipynb", text)


def _data(paths: Iterable[str], folder: Path) -> list[str]:
    """The files behind a page's figures and tables, among what its run wrote and read (files, or whole folders)."""
    found = set()
    for path in paths:
        listed = (folder / path).iterdir() if (folder / path).is_dir() else [folder / path]
        found |= {f"{one.parent.name}/{one.stem}{DATA[one.parent.name]}" for one in listed if one.parent.name in DATA}
    return sorted(found)


def _run_line(name: str, path: str, published: Edition | None) -> str:
    """The line under a page's title: where to run it, and the notebook to take along."""
    links = [f"{{download}}`Notebook with its results </{path}>`"]
    if published:
        links[:0] = [f"[Open in Colab]({published.colab(name)})", f"[Open in Binder]({published.binder(name)})"]
    return "```{container} take-it\n" + "\n".join(links) + "\n```"


def _data_line(paths: Iterable[str]) -> str:
    """The line at a page's end with the numbers behind its figures and tables."""
    links = [f"{{download}}`{Path(path).name} <{path}>`" for path in paths]
    return "```{container} take-it\nData of the figures and tables:\n" + "\n".join(links) + "\n```"


def _open_with_the_finding(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Move what cells tagged `lead` show to right under the title; their code stays where it ran."""
    finding: list[str] = []
    for cell in cells:
        if "lead" in cell["metadata"].get("tags", []):
            shown = [output["data"]["text/markdown"] for output in cell["outputs"]]
            finding += ["".join(part) for part in shown]
            cell["outputs"] = []
    title, _, text = "".join(cells[0]["source"]).partition("\n\n")
    finding.sort(key=lambda part: not part.startswith("**The finding.**"))  # first in words, then in figures
    opening = [title, "\n\n".join(finding), text]
    return [*(_markdown(f"opening-{k}", part) for k, part in enumerate(opening) if part), *cells[1:]]


def _markdown(name: str, text: str) -> dict[str, Any]:
    """A cell of text."""
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": text}


def _copy(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(origin, target)


def _write(path: Path, text: str) -> None:
    write_text(path, text)
