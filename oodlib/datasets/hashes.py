"""SHA-256 of many files, computed once: a table in the cache folder remembers it by path, size and time of change.

A file that is changed without changing its size or its time of change is not noticed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from oodlib.cache import home_folder, sha256_of, write_atomically
from oodlib.errors import OodlibError

THREADS = 4  # hashing lets go of the interpreter; more readers than this do not help a disk
COLUMNS = ["uri", "size", "changed", "sha256"]


def table_path(name: str, root: Path, home: Path | None = None) -> Path:
    """Where the table of a set below this data root is kept."""
    key = hashlib.sha256(f"{name}\0{root.resolve().as_posix()}".encode()).hexdigest()[:16]
    return home_folder(home) / "hashes" / f"{name}-{key}.parquet"


def hashes_of(name: str, root: Path, uris: Sequence[str], home: Path | None = None) -> list[str]:
    """SHA-256 of each file, length N, in the order of `uris`; files that the table knows unchanged are not read.

    Parameters
    ----------
    name : str
        Whose table: the set that the files belong to.
    root : Path
        The folder that `uris` are relative to.
    uris : sequence of str, length N
    home : Path, optional
        Cache folder.

    Raises
    ------
    OodlibError
        If a file cannot be read, or the table cannot be written.
    """
    path = table_path(name, root, home)
    known = _read(path)

    def one(uri: str) -> tuple[int, int, str]:
        file = root / uri
        try:
            state = file.stat()
            before = known.get(uri)
            if before and before[:2] == (state.st_size, state.st_mtime_ns):
                return before
            return state.st_size, state.st_mtime_ns, sha256_of(file)
        except OSError as error:
            raise OodlibError(
                f"cannot read {file} ({error.strerror or error}): make it readable, or unpack the set again"
            ) from error

    with ThreadPoolExecutor(THREADS) as pool:
        rows = dict(zip(uris, pool.map(one, uris), strict=True))
    if any(known.get(uri) != row for uri, row in rows.items()):
        table = pd.DataFrame([(uri, *row) for uri, row in sorted((known | rows).items())], columns=COLUMNS)
        write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False, write_page_checksum=True))
    return [rows[uri][2] for uri in uris]


def _read(path: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time of change and hash by path; nothing where there is no table that can be used."""
    try:
        table = pd.read_parquet(path, columns=COLUMNS, page_checksum_verification=True)
    except (OSError, ValueError, KeyError):
        return {}
    return {str(uri): (int(size), int(changed), str(found)) for uri, size, changed, found in table.to_numpy().tolist()}
