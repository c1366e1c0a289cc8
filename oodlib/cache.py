"""The folder of what is kept between runs: changed without leaving anything half-written, read without believing it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from oodlib.errors import DamagedError, OodlibError

if TYPE_CHECKING:
    import numpy as np

SEALED = "sealed"  # the entry in the metadata of a file that knows its own hash


def home_folder(home: Path | str | None = None) -> Path:
    """The cache folder: the argument, else `OODLIB_HOME`, else the platform's user cache folder. It is not created.

    A relative one starts at the current folder. The path is a whole one, because the assembled model's names it.
    """
    given = home or os.environ.get("OODLIB_HOME") or platformdirs.user_cache_dir("oodlib", appauthor=False)
    return Path(given).absolute()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of_files(hashes: Mapping[str, str]) -> str:
    """One SHA-256 for several files, from the SHA-256 of each by its name."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def digest_of_tensors(tensors: Mapping[str, Any]) -> str:
    """One SHA-256 for the weights of a model, torch tensors by name; their order does not count."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def writable(folder: Path) -> Path:
    """Make a folder and see that files can be written in it.

    Raises
    ------
    OodlibError
        If it cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise OodlibError(
            f"cannot write in the cache folder {folder} ({error.strerror}): "
            "free some space, or set OODLIB_HOME to another folder"
        ) from error


def check_source(path: Path) -> None:
    """See that what a person named to be read can end: a pipe without a writer and some devices never do.

    Raises
    ------
    OodlibError
        If it is a pipe, a socket or a device. That nothing is there, or a folder, is said by whoever reads it.
    """
    try:
        kind = os.stat(path).st_mode  # noqa: PTH116 (as below)
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise OodlibError(f"{path} is a device or a pipe, not a file: save what comes from it, and name that file")


def check_target(path: Path, *, folder: bool = False) -> None:
    """See that a file, or files in a folder, can be written at `path`, before anything takes time. Nothing is made.

    Raises
    ------
    OodlibError
        If the name is too long, a folder lies where the file should be or a file where a folder should, or the nearest
        folder that is there is read-only.
    """
    remedy = "choose a folder that can be written"
    try:
        kind = os.stat(path).st_mode  # noqa: PTH116 (Path's own questions hide why they are answered with no)
        if stat.S_ISDIR(kind) != folder:
            raise OodlibError(f"cannot write {path} (it is a {'file' if folder else 'folder'}): choose another name")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name that is too long, a file for a folder, or a NUL
        raise OodlibError(f"cannot write {path} ({getattr(error, 'strerror', None) or error}): {remedy}") from None
    places = Path(os.path.abspath(path if folder else path.parent))  # noqa: PTH100 (links stay what they are)
    nearest = next(place for place in (places, *places.parents) if place.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OodlibError(f"cannot write {path} ({nearest} is read-only): {remedy}")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path in the folder of `path`, then move the result into place in one step.

    A kill at any moment leaves the old file or the new one. Of two writers of the same path, the last one wins whole.
    A link stays, and what it leads to is replaced.

    Raises
    ------
    OodlibError
        If the disk is full or read-only, or `path` is a folder, or a device or pipe, whose place a file would take, or
        is not UTF-8 and the format's writer takes no such name.
    """
    if os.path.isdir(path):  # noqa: PTH112 (Path's own raises on a name that is too long)
        raise OodlibError(f"cannot write {path}, which is a folder: name a file in it")
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        raise OodlibError(f"cannot write {path}, which is a device or a pipe: name a file, and read from that")
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except UnicodeEncodeError:
        if str(path).isprintable():  # something in the text
            raise
        raise OodlibError(
            f"cannot write {path} (a name in its path is not UTF-8): choose a path that can be written as text"
        ) from None
    except _failures() as error:
        kept = target.is_relative_to(home_folder())
        remedy = "set OODLIB_HOME to another folder" if kept else "choose a folder that can be written"
        said = getattr(error, "strerror", None) or error
        raise OodlibError(f"cannot write {path} ({said}): free some space, or {remedy}") from error
    finally:
        with contextlib.suppress(OSError):  # its folder may be a file; the error above says so
            temporary.unlink()


def _failures() -> tuple[type[Exception], ...]:
    """What a disk's refusal is raised as; safetensors, where it has been imported, has an error of its own for it."""
    safetensors = sys.modules.get("safetensors")
    return (OSError, safetensors.SafetensorError) if safetensors else (OSError,)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with `write_atomically`; line ends stay as they are."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline=""))


def replace_folder(new: Path, target: Path) -> None:
    """Move a finished folder into place; what lies there already is moved aside first and then deleted."""
    old = target.with_name(target.name + ".old")
    discard(old)
    if os.path.lexists(target):
        target.rename(old)
    new.rename(target)
    discard(old)


def discard(path: Path) -> None:
    """Delete a folder, or a file or link in the place of one, if it can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def seal(arrays: Mapping[str, Any], about: str) -> str:
    """SHA-256 over arrays (their names, types, shapes and numbers) and what is said about them.

    Parameters
    ----------
    arrays : mapping of str to array
        Each contiguous, in the order of its rows.
    about : str
    """
    shapes = [[name, str(arrays[name].dtype), list(arrays[name].shape)] for name in sorted(arrays)]
    found = hashlib.sha256(json.dumps([shapes, about]).encode())
    for name in sorted(arrays):
        found.update(arrays[name].data if arrays[name].size else b"")
    return found.hexdigest()


def save_sealed(path: Path, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write arrays, and what is said about them (JSON-able), to a safetensors file that knows its own hash.

    Equal contents are equal bytes: all of the metadata is one entry, because safetensors keeps no order of several.

    Raises
    ------
    TypeError
        If JSON cannot hold `about`.
    OodlibError
        As `write_atomically`.
    """
    import numpy as np
    from safetensors.numpy import save_file

    # safetensors writes other numbers for arrays that do not lie in the order of their rows.
    whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    said = json.dumps(about, sort_keys=True)
    metadata = {SEALED: json.dumps([said, seal(whole, said)])}
    write_atomically(path, lambda temporary: save_file(whole, temporary, metadata=metadata))


def load_sealed(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_sealed` wrote: the arrays, and what is said about them.

    Raises
    ------
    DamagedError
        If it is not what was written: truncated, changed, or of another kind.
    OSError
        If the file is missing or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            said, sealed = json.loads((file.metadata() or {})[SEALED])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if seal(arrays, said) == sealed and isinstance(about := json.loads(said), dict):
            return arrays, about
        problem = "it does not hold what was written to it"
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"  # NumPy lacks some types that a changed byte may name
    raise DamagedError(f"{path} is damaged ({problem}): delete it")
