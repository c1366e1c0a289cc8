"""Executing the book's notebooks: checked parameters, a fresh output, a run record, and nothing done twice."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oodlib import provenance
from oodlib.book.chapters import reads, source_path
from oodlib.book.kernel import THREADS, environment, move_warnings, run_papermill, tidy
from oodlib.book.parameters import check_given, read_defaults
from oodlib.cache import write_text
from oodlib.experiments.profiles import Profile, cannot_write, load_profile, profile_path, project_root
from oodlib.registry import check_names


@dataclass(frozen=True)
class Executed:
    """A notebook of a profile, executed.

    Attributes
    ----------
    path, record : Path
        The executed notebook and its run record.
    fresh : bool
        True when it was executed now; False when nothing had changed since the recorded run.
    """

    path: Path
    record: Path
    fresh: bool


def execute(
    name: str,
    profile: str = "pocket",
    parameters: Mapping[str, Any] | None = None,
    *,
    small: bool = False,
    inputs: Mapping[str, str] | None = None,
) -> Executed:
    """Execute one notebook under a profile, unless nothing that goes into it has changed.

    The result lies in `_build/<profile>/notebooks/<name>.ipynb`, its run record in `runs/<name>.json`, and what the
    notebook made where `provenance.product` says. They appear together after the last cell; a failure leaves what was
    there before, and a log.

    Parameters
    ----------
    name : str
        The notebook's name without suffix.
    profile : str
        The profile's name; passed to the notebook.
    parameters : mapping, optional
        More parameters; every name must stand in the notebook's cell tagged `parameters`, and its value be of the type
        there.
    small : bool
        Apply the profile's `small` block; passed to the notebook.
    inputs : mapping of str to str, optional
        Digests of further things that the run depends on; a change of any runs it again.

    Raises
    ------
    OodlibError
        If the notebook, the profile or a parameter is unknown, a value is of another type, or a cell fails.
    """
    plan = _plan(name, profile, parameters, small, inputs)
    if _up_to_date(plan):
        return plan.result

    source, chosen, given, run = plan.source, plan.profile, plan.given, plan.run
    result, known = plan.result, dict(plan.known)
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    before = _cpu_seconds_of_kernels()
    try:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=".run-") as work:
            log = chosen.folder / "logs" / f"{name}.log"
            notebook, noted = _run(source, Path(work), given, run, log)
            products = _publish(Path(work) / "products", chosen.folder)
    except OSError as error:
        raise cannot_write(chosen.folder, error) from error
    text = json.dumps(tidy(notebook), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(result.path, text)
    known |= {
        "name": name,
        "profile": profile,
        "run": run,
        "parameters": {**plan.defaults, **given},
        "products": products,
        "notebook_sha256": provenance.file_sha256(result.path),
        **noted,
    }
    known |= {"started": started, "wall_seconds": round(time.monotonic() - clock, 1)}
    known["cpu_seconds"] = round(_cpu_seconds_of_kernels() - before, 1)
    provenance.stamp(result.record, root=project_root(), **known)
    return Executed(result.path, result.record, True)


def up_to_date(
    name: str, profile: str = "pocket", parameters: Mapping[str, Any] | None = None, *, small: bool = False
) -> bool:
    """Whether `execute` would find that nothing has changed."""
    return _up_to_date(_plan(name, profile, parameters, small, None))


@dataclass(frozen=True)
class _Plan:
    """What an execution starts from, where its result lies, and the id of a run of exactly these ingredients."""

    source: Path
    profile: Profile
    given: dict[str, Any]
    defaults: dict[str, Any]
    known: dict[str, Any]
    run: str
    result: Executed


def _plan(
    name: str, profile: str, parameters: Mapping[str, Any] | None, small: bool, inputs: Mapping[str, str] | None
) -> _Plan:
    source, chosen = source_path(name), load_profile(profile, small=small)
    check_given(source, parameters or {})
    given = {**(parameters or {}), "profile": profile, "small": small}
    defaults, _ = read_defaults(source)
    check_names(given, defaults, f"notebooks/{source.name}")
    result = Executed(chosen.folder / "notebooks" / f"{name}.ipynb", chosen.folder / "runs" / f"{name}.json", False)
    known: dict[str, Any] = {
        "inputs": {**_input_digests(source, chosen), **(inputs or {})},
        "source_sha256": provenance.file_sha256(source),
    }
    ingredients = {"name": name, "parameters": given, "code": provenance.code_sha256(), **known}
    ingredients["versions"] = provenance.versions()
    return _Plan(source, chosen, given, defaults, known, provenance.run_id(ingredients), result)


def _cpu_seconds_of_kernels() -> float:
    """CPU seconds of the processes that this one started and that have ended; 0 on systems that do not count them."""
    times = os.times()
    return times.children_user + times.children_system


def _input_digests(source: Path, profile: Profile) -> dict[str, str]:
    """Digests of the files other than code that decide what a notebook shows."""
    root = project_root()
    files = {
        f"profiles/{profile.name}.yaml": profile_path(profile.name),
        "package-lock.json": root / "package-lock.json",  # the pictures: npm checks its integrity hashes
        "requirements.lock": root / "requirements.lock",
        "book/_data": root / "book" / "_data",
    } | {path: profile.folder / path for path in reads(source)}
    found = {key: provenance.tree_sha256(p) if p.is_dir() else provenance.file_sha256(p) for key, p in files.items()}
    if profile.photos:
        from oodlib.experiments.pictures import (
            state_of,  # takes pandas along, which a second run of other profiles does without
        )

        found["photographs"] = provenance.run_id(state_of(profile))
    return found


def _up_to_date(plan: _Plan) -> bool:
    """Whether the recorded run is this one, and its notebook and all its products still lie there unchanged."""
    record = provenance.read_record(plan.result.record)
    if record is None or record.run != plan.run or record.notebook_sha256 != provenance.file_sha256(plan.result.path):
        return False
    folder = plan.profile.folder
    return all(provenance.file_sha256(folder / path) == digest for path, digest in record.products.items())


def _run(source: Path, work: Path, given: dict[str, Any], run: str, log: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Execute in a working folder: returns the notebook and the facts that it noted, leaves its `products` there."""
    facts, products = work / "facts.json", work / "products"
    products.mkdir()
    variables = {
        provenance.RUN_VARIABLE: run,
        provenance.FACTS_VARIABLE: str(facts),
        provenance.PRODUCTS_VARIABLE: str(products),
        "OODLIB_PROJECT": str(project_root()),
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),  # this environment's kernel, not the user's
    } | {name: os.environ.get(name, value) for name, value in THREADS.items()}
    with environment(variables):
        notebook = run_papermill(source, work / "out.ipynb", given, log)
    move_warnings(notebook, log)
    return notebook, json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else {}


def _publish(products: Path, folder: Path) -> dict[str, str]:
    """Move the products of a run into the profile's folder; returns the digests by path."""
    digests = {}
    for path in sorted(products.rglob("*")):
        if path.is_file():
            name = path.relative_to(products).as_posix()
            digests[name] = provenance.file_sha256(path)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            path.replace(folder / name)
    return digests
