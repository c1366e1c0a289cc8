"""Pictures of one's own: files, folders (one a class, if you like), globs, or a CSV with a path and a label a line.

Every file that was asked for ends in one of three lists: the manifest, the files that cannot be opened with the reason,
and, of folders, the files that are not named like pictures. Whether the content *is* a picture is found out when it is
decoded, once, by `oodlib.embeddings.embed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oodlib.cache import sha256_of
from oodlib.datasets.base import Manifest
from oodlib.datasets.listing import Listing, Row, legible
from oodlib.datasets.picture_table import Line, locate, read_table
from oodlib.errors import OodlibError

NAME = "pictures"  # the same files have the same key, whichever command asks for them
SUFFIXES = frozenset(
    [
        ".apng",
        ".avif",
        ".bmp",
        ".dib",
        ".gif",
        ".ico",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".jpx",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".qoi",
        ".tga",
        ".tif",
        ".tiff",
        ".webp",
    ]
)

# Folders that systems make beside a person's own.
LEFT_BEHIND = frozenset(
    [
        "__MACOSX",
        "__pycache__",
        "@eaDir",
        "#recycle",
        "@Recycle",
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
    ]
)


@dataclass(frozen=True, eq=False)
class Pictures:
    """What was found.

    Parameters
    ----------
    listing : Listing
        The files that can be opened. `label` is the folder below the one that was named, "" where there is none;
        `shown` is the path as a person gave it, in the spelling of `oodlib.datasets.listing.legible`.
    bad : dict of str to str
        Paths as given that cannot be opened, with the reason.
    passed_over : tuple of str
        Files in folders that are not named like pictures. Name such a file itself to have it read.
    order : tuple of str
        The paths of `listing` and `bad` in the order in which they came.
    """

    listing: Listing
    bad: dict[str, str]
    passed_over: tuple[str, ...]
    order: tuple[str, ...]

    @cached_property
    def manifest(self) -> Manifest:
        """The listing as a manifest, with a column `shown` more."""
        import pandas as pd  # takes a second, which a decision on one picture does not wait for

        table = pd.DataFrame(list(self.listing.rows), columns=list(Row._fields))
        return Manifest(self.listing.name, self.listing.root, table)


def from_folder(folder: Path | str) -> Pictures:
    """Every picture under a folder; those in a folder below it carry its name as their label.

    Links to folders are followed, each folder once; a link back to a folder above it is reported.

    Raises
    ------
    OodlibError
        If it is no folder, cannot be listed, or holds no file that is named like a picture.
    """
    if not os.path.isdir(folder):  # noqa: PTH112 (Path's own raises on a name that is too long)
        raise OodlibError(
            f"{folder} is no folder: pass the one that holds your pictures, or a folder for each class in it"
        )
    return from_paths([folder])


def from_paths(paths: Iterable[Path | str]) -> Pictures:
    """Pictures from files, folders and globs such as ``"photos/**/*.jpg"``, in the order given, each once.

    In folders, files and folders whose name starts with a dot are left out, and those that systems leave behind. A path
    that does not exist is reported.

    Raises
    ------
    OodlibError
        If nothing is left.
    """
    wanted = [str(path) for path in paths]
    found = _Found()
    for path in wanted:
        found.add(path)
    if not found.shown and not found.bad:
        others = f" (only {len(found.passed_over)} other files)" if found.passed_over else ""
        where = wanted[0] if len(wanted) == 1 else f"{len(wanted)} paths" if wanted else "an empty list"
        raise OodlibError(f"there is no picture in {where}{others}: name files, or a folder that holds some")
    return found.pictures()


def from_csv(path: Path | str) -> Pictures:
    """Pictures from a CSV with the columns `path` and `label`, and `split` if you like; paths start at its folder.

    Raises
    ------
    OodlibError
        If the table cannot be read (`oodlib.datasets.picture_table`), or gives a picture two labels or two splits.
    """
    table = Path(path)
    found = _Found()
    said: dict[Path, Line] = {}
    for line in read_table(table):
        file = locate(table.parent, line.path)
        first = said.setdefault(_real(file), line)
        for what, one, other in (("labels", first.label, line.label), ("splits", first.split, line.split)):
            if one != other:
                raise OodlibError(
                    f"lines {first.number} and {line.number} of {table} give {line.path} two {what}, {one!r} and "
                    f"{other!r}: keep one"
                )
        if first is line:
            found.take(file, line.path, line.label, line.split)
    return found.pictures(table.parent)


def from_files(files: Iterable[Path]) -> Pictures:
    """Exactly these files: none is walked as a folder or read as a pattern, and each counts once.

    `shown` and `order` have the absolute path of each, as `os.path.abspath` spells it.
    """
    found = _Found()
    for file in files:
        found.take(file, str(_absolute(file)))
    return found.pictures()


class _Found:
    """Collects files while folders are walked."""

    def __init__(self) -> None:
        self.shown: dict[str, tuple[Path, str, str, str]] = {}  # by path as given: file, label, split, sha256
        self.bad: dict[str, str] = {}
        self.passed_over: list[str] = []
        self.order: list[str] = []
        self.roots: list[Path] = []

    def add(self, given: str) -> None:
        """A file, a folder or a glob."""
        path = Path(given)
        if os.path.lexists(path):
            self._add_path(path)
            return
        hits = _glob(path) if any(sign in given for sign in "*?[") else []
        if not hits:
            self._reject(given, "does not exist: check the path")
        for hit in hits:
            self._add_path(hit)

    def _add_path(self, path: Path) -> None:
        if os.path.isdir(path):  # noqa: PTH112
            self.roots.append(path)
            for file, label in self._walk(path, path, {}):
                self.take(file, str(file), label)
        else:
            self.take(path, str(path))

    def _walk(self, folder: Path, top: Path, seen: dict[tuple[int, int], Path]) -> Iterator[tuple[Path, str]]:
        """Files of a folder and of those below, each real folder once."""
        try:
            state = folder.stat()
            above = seen.setdefault((state.st_dev, state.st_ino), folder)
            if above is not folder:
                if above in folder.parents:
                    self._reject(str(folder), f"is a link back to {above}: remove the link")
                return
            entries = sorted(folder.iterdir())
        except OSError as error:
            self._reject(str(folder), f"cannot be listed ({error.strerror}): make it readable")
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name in LEFT_BEHIND:
                continue
            if os.path.isdir(entry):  # noqa: PTH112 (Path's own raises where the folder may be listed and no more)
                yield from self._walk(entry, top, seen)
            elif entry.suffix.lower() in SUFFIXES:
                below = entry.relative_to(top).parts
                yield entry, below[0] if len(below) > 1 else ""
            else:
                self.passed_over.append(str(entry))

    def take(self, file: Path, given: str, label: str = "", split: str = "all") -> None:
        """One file; its content is hashed, not decoded."""
        if given in self.shown or given in self.bad:
            return
        try:
            if file.exists() and not file.is_file():
                self._reject(given, "is no file: name a picture")
                return
            digest = sha256_of(file)
        except OSError as error:
            remedy = {"FileNotFoundError": "check the path", "PermissionError": "make it readable"}
            said = error.strerror or str(error)
            self._reject(
                given, f"cannot be opened ({said}): {remedy.get(type(error).__name__, 'check the link or disk')}"
            )
            return
        except ValueError:  # a NUL in the name
            self._reject(given, "is no path: check the name")
            return
        self.shown[given] = (file, label, split, digest)
        self.order.append(given)

    def _reject(self, given: str, reason: str) -> None:
        if given not in self.bad:
            self.bad[given] = reason
            self.order.append(given)

    def pictures(self, root: Path | None = None) -> Pictures:
        """The manifest over everything taken; ids and the digest do not depend on where the common folder lies."""
        files = [_absolute(file) for file, *_ in self.shown.values()]
        base = _common([root] if root else self.roots if len(self.roots) == 1 else [], files)
        ids = [file.relative_to(base).as_posix() if file.is_relative_to(base) else file.as_posix() for file in files]
        rows: dict[str, Row] = {}
        for identity, (given, (_, label, split, digest)) in zip(ids, self.shown.items(), strict=True):
            # the same file under two spellings is one picture
            name = legible(identity)
            rows.setdefault(name, Row(name, name, legible(label), split, digest, legible(given)))
        bad = {legible(given): legible(reason) for given, reason in self.bad.items()}
        kept = {row.shown for row in rows.values()} | bad.keys()
        order = tuple(given for given in map(legible, self.order) if given in kept)
        return Pictures(Listing(NAME, base, tuple(rows.values())), bad, tuple(map(legible, self.passed_over)), order)


def _absolute(path: Path) -> Path:
    """The path from the root without `..`; unlike with `resolve`, links stay what they are."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _real(path: Path) -> Path:
    """The file behind all links, so that two spellings of it are one."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):  # a loop of links, a name that is too long or holds a NUL
        return path


def _common(roots: Sequence[Path], files: Sequence[Path]) -> Path:
    if roots:
        return _absolute(roots[0])
    try:
        return Path(os.path.commonpath([file.parent for file in files]))
    except ValueError:  # none, or on several drives: then the ids are whole paths
        return Path()


def _glob(pattern: Path) -> list[Path]:
    """What a pattern matches, sorted; `**` does not follow links, so that a loop of them ends."""
    try:
        return sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
    except (ValueError, OSError):
        return []
