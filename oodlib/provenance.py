"""Run records: what made a page, said well enough that somebody else can make it again."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from oodlib.cache import sha256_of, write_text
from oodlib.errors import OodlibError
from oodlib.machine import cores, processor

PACKAGES = ("torch", "open_clip_torch", "timm", "numpy", "scikit-learn", "oodlib")
RUN_VARIABLE = "OODLIB_RUN"  # the run id, for the code that runs inside a notebook
FACTS_VARIABLE = "OODLIB_RUN_FACTS"  # the file that the notebook leaves its facts in
PRODUCTS_VARIABLE = "OODLIB_RUN_PRODUCTS"  # the folder that the notebook leaves its products in
SEAL = "sha256"  # in a record: the hash of all that it says
FACTS = ("device", "dtype", "seeds", "manifests", "encoder", "embeddings")


@dataclass(frozen=True)
class RunRecord:
    """What one run used and wrote.

    Everything but `started`, the seconds, the machine (`platform`, `processor`, `cpus`), `commit` and `dirty` is the
    same when the same sources run again.

    Attributes
    ----------
    run : str
        Short id: a hash of what went in (`run_id`), so that equal ids mean equal ingredients.
    parameters : dict
        The effective ones: the notebook's defaults and what replaced them.
    source_sha256, code_sha256, lock_sha256 : str
        Of the stripped notebook, of the files of `oodlib`, and of `requirements.lock` ("absent" without one).
    inputs : dict of str to str
        SHA-256 of every other file that the run names as its inputs.
    manifests, encoder, embeddings
        Digests of the picture lists, the encoder's spec and digest, the keys of the kept features.
    products : dict of str to str
        SHA-256 of every file that the run wrote, by its path in the profile's folder.
    notebook_sha256 : str
        Of the executed notebook; "" where an older record does not say.
    started : str
        UTC, ISO 8601.
    wall_seconds : float
        How long it took.
    cpu_seconds : float
        Of all cores together, user and system; it depends less on what else the machine does. Without the imports of
        libraries where a process had them for several notebooks. 0 where it is not known.
    cpus : int
        Processor cores that it could use; 0 where an older record does not say.
    processor : str
        Its name and vector instructions, "" where they are not known.
    """

    name: str
    profile: str
    run: str
    commit: str
    dirty: bool
    parameters: dict[str, Any]
    source_sha256: str
    code_sha256: str
    lock_sha256: str
    inputs: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    platform: str = ""
    device: str = "cpu"
    dtype: str = "float32"
    seeds: dict[str, int] = field(default_factory=dict)
    manifests: dict[str, str] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)
    embeddings: dict[str, str] = field(default_factory=dict)
    products: dict[str, str] = field(default_factory=dict)
    notebook_sha256: str = ""
    started: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    cpus: int = 0
    processor: str = ""


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; "absent" where there is no such file."""
    return sha256_of(path) if path.is_file() else "absent"


def tree_sha256(folder: Path, paths: Iterable[Path] | None = None) -> str:
    """SHA-256 over the relative paths and the bytes of all files of a folder (or of some of them), bytecode aside."""
    chosen = folder.rglob("*") if paths is None else paths
    files = sorted(path for path in chosen if path.is_file() and "__pycache__" not in path.parts)
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


@functools.cache
def code_sha256() -> str:
    """SHA-256 over the files of the installed `oodlib`, its shipped weights included, as this process found them."""
    return tree_sha256(Path(__file__).parent)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide numbers, read without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_state(root: Path) -> tuple[str, bool]:
    """The commit of a checkout and whether files differ from it; ("unknown", False) without git or a commit."""
    answers = []
    for question in (["rev-parse", "HEAD"], ["status", "--porcelain"]):
        try:
            answers.append(
                subprocess.run(["git", "-C", str(root), *question], capture_output=True, text=True, check=True).stdout
            )
        except (OSError, subprocess.CalledProcessError):
            return "unknown", False
    return answers[0].strip(), bool(answers[1].strip())


def run_id(ingredients: Mapping[str, Any]) -> str:
    """Twelve hex digits that name what goes into a run (JSON-able); the same on any machine and at any time."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:12]


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys, in one step: a reader finds the old file or the new one, never a part."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(path, text)


def stamp(path: Path, *, root: Path, **known: Any) -> RunRecord:
    """Fill in a run record and write it.

    Parameters
    ----------
    path : Path
        Where the record goes, `_build/<profile>/runs/<name>.json`.
    root : Path
        The project's folder, for the commit and the lock file.
    **known
        The fields of `RunRecord` that only the caller knows; commit, lock, code, versions, platform and cores are found
        here.
    """
    commit, dirty = git_state(root)
    found: dict[str, Any] = {
        "commit": commit,
        "dirty": dirty,
        "lock_sha256": file_sha256(root / "requirements.lock"),
        "code_sha256": code_sha256(),
        "versions": versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": cores(),
        "processor": processor(),
    }
    record = RunRecord(**(found | known))
    content = asdict(record)
    write_json(path, {**content, SEAL: _sealed(content)})
    return record


def read_record(path: Path) -> RunRecord | None:
    """A run record, or None where there is none or it is damaged: the run is then made again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop(SEAL, None)
        record = RunRecord(**content)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return record if seal in (None, _sealed(content)) else None  # older records have none


def _sealed(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def current_run() -> str:
    """The id of the run that this code runs in; "interactive" when nobody keeps a record."""
    return os.environ.get(RUN_VARIABLE, "interactive")


def run_link(run: str, text: str = "") -> str:
    """A run's id, or another text, as a link in MyST Markdown to its record, which the site has by that name."""
    return f"{{download}}`{text or run} </runs/{run}.json>`"


def note(**facts: Any) -> None:
    """Leave facts for the record of the run that this code runs in; dictionaries grow, other values are replaced.

    Parameters
    ----------
    **facts
        Of `device`, `dtype`, `seeds`, `manifests`, `encoder`, `embeddings`, as in `RunRecord`.

    Raises
    ------
    OodlibError
        If a fact has another name.
    """
    unknown = sorted(set(facts) - set(FACTS))
    if unknown:
        raise OodlibError(f"a run record has no field {unknown[0]!r}: note one of {', '.join(FACTS)}")
    if FACTS_VARIABLE not in os.environ:
        return
    path = Path(os.environ[FACTS_VARIABLE])
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name, value in facts.items():
        kept[name] = kept.get(name, {}) | value if isinstance(value, dict) else value
    write_json(path, kept)


def recording() -> bool:
    """Whether this code runs in a notebook whose run is recorded."""
    return PRODUCTS_VARIABLE in os.environ


def product(path: str, folder: Path) -> Path:
    """Where a run writes one of its products; the folder is created.

    A recorded run writes to a temporary folder, and its products are moved into place together once the whole notebook
    has succeeded. An interactive run writes into the profile's folder at once.

    Parameters
    ----------
    path : str
        Path in the profile's folder, such as "results/detection.parquet".
    folder : Path
        The profile's folder (`Profile.folder`).
    """
    target = Path(os.environ.get(PRODUCTS_VARIABLE, folder)) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
