"""Making the coursework: every master's versions, the data, and one file for students to download."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oodlib.cache import replace_folder, write_atomically, write_text
from oodlib.coursework import versions
from oodlib.coursework.master import Master, read_master
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import Profile, build_root, cannot_write, project_root
from oodlib.provenance import file_sha256

ARCHIVE = "coursework.zip"  # the students' notebooks and the data
_CONTENTS = "coursework.json"  # of the files written here, which may be replaced
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same archive on any day
_NBGRADER_CONFIG = """# Read by nbgrader's commands in this folder, such as: nbgrader generate_assignment {first}
c = get_config()  # noqa
c.CourseDirectory.course_id = "outliers_by_name"
c.ExecutePreprocessor.timeout = 300  # seconds for a cell
"""


def masters(folder: Path | None = None) -> list[Master]:
    """All masters, by name; by default those of the checkout.

    Raises
    ------
    OodlibError
        If one is malformed, or there is none.
    """
    place = folder or project_root() / "notebooks" / "coursework"
    found = [read_master(path) for path in sorted(place.glob("*.ipynb"))]
    if not found:
        raise OodlibError(f"there is no master notebook in {place}: give the folder that holds them")
    return found


def make_coursework(run: Profile, output: Path | None = None) -> Path:
    """Write student, solution, otter-grader and nbgrader versions, and the data; replaces the folder as a whole.

    Parameters
    ----------
    run : Profile
        Whose features are the data.
    output : Path, optional
        The folder to make; by default `_build/coursework`. One that was not made here is refused, unless it is empty.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OodlibError
        If a master is malformed, or the folder holds something else or cannot be written.
    """
    from oodlib.coursework.data import write_data  # takes the model along

    target = (output or build_root() / "coursework").resolve()
    _check_ours(target)
    chosen = masters()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".coursework-") as work:
            folder = Path(work) / "coursework"
            write_data(folder / "data", run)
            write_versions(folder, chosen)
            pack(folder / ARCHIVE, chosen, folder / "data")
            _write(folder / _CONTENTS, _digests(folder))
            replace_folder(folder, target)
    except OSError as error:
        raise cannot_write(target, error) from error
    return target


def _digests(folder: Path) -> dict[str, str]:
    """The files of a folder with their hashes; what Jupyter leaves next to notebooks does not count."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and ".ipynb_checkpoints" not in path.parts]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files if path != folder / _CONTENTS}


def _check_ours(target: Path) -> None:
    """Refuse to replace a folder that holds what was not made here: submissions, grades, somebody's changes."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        known = json.loads((target / _CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise OodlibError(f"{target} holds something else: name a folder that is not there yet") from None
    for name, digest in _digests(target).items():
        if known.get(name) != digest:
            raise OodlibError(f"{target} holds work of yours ({name}): move it, or name another folder with --output")


def write_versions(folder: Path, chosen: Sequence[Master]) -> None:
    """Write all notebooks of some masters into a folder whose `data` is there already."""
    for master in chosen:
        _write(folder / "student" / f"{master.name}.ipynb", versions.student(master))
        _write(folder / "solution" / f"{master.name}.ipynb", versions.solution(master))
        _write(folder / "otter" / f"{master.name}.ipynb", versions.otter(master))
        _write(folder / "nbgrader" / "source" / master.name / f"{master.name}.ipynb", versions.nbgrader(master))
    (folder / "otter" / "data").mkdir()  # otter-grader takes files from below the notebook only
    for name in versions.DATA:
        shutil.copy(folder / "data" / name, folder / "otter" / "data" / name)
    config = _NBGRADER_CONFIG.format(first=chosen[0].name)
    (folder / "nbgrader" / "nbgrader_config.py").write_text(config, encoding="utf-8")


def pack(path: Path, chosen: Sequence[Master], data: Path) -> None:
    """Write the archive for students: their notebooks, and the data."""
    files = {f"{master.name}.ipynb": _text(versions.student(master)).encode() for master in chosen}
    files |= {f"data/{file.name}": file.read_bytes() for file in sorted(data.iterdir())}

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                entry = zipfile.ZipInfo(f"coursework/{name}", _EPOCH)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)

    write_atomically(path, write)


def stage(source: Path, run: Profile) -> None:
    """Put what the site shows of the coursework into its source folder: the table, and what students may download.

    Nothing but students' versions and the data goes to `book/coursework/student/`; beside it there are two fragments
    and a figure for the page.
    """
    from oodlib.coursework.data import write_data
    from oodlib.coursework.finding import open_page

    chosen, place = masters(), source / "book" / "coursework" / "student"
    for master in chosen:
        _write(place / f"{master.name}.ipynb", versions.student(master))
    with tempfile.TemporaryDirectory() as work:
        write_data(Path(work) / "data", run)
        pack(place / ARCHIVE, chosen, Path(work) / "data")
        with np.load(Path(work) / "data" / "emojishift.npz") as data:
            open_page(source, data, n_boot=run.n_boot)
    text = table(chosen)
    write_text(source / "fragments" / "coursework.md", text)


def table(chosen: Sequence[Master]) -> str:
    """What the course page says of the assignments, a table with downloads, then what one can do afterwards."""
    rows = [
        f"| {{download}}`{place}. {master.title} <student/{master.name}.ipynb>` | {master.minutes} | "
        f"{master.cpu_seconds} | {len(master.exercises)} | {master.points:g} |"
        for place, master in enumerate(chosen, 1)
    ]
    lines = [
        ":::{table} The assignments, each as the notebook that students get.",
        ":name: tab-coursework",
        "",
        "| assignment | minutes | seconds of one core | tasks | points |",
        "|---|---:|---:|---:|---:|",
        *rows,
        ":::",
        "",
        "Afterwards one can",
        "",
        *(f"{place}. {'; '.join(master.goals)}." for place, master in enumerate(chosen, 1)),
    ]
    return "\n".join(lines) + "\n"


def _text(book: Mapping[str, Any]) -> str:
    return json.dumps(book, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _write(path: Path, book: Mapping[str, Any]) -> None:
    write_text(path, _text(book))
