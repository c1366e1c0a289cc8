"""A folder of pictures that were drawn here: made whole or not at all, with tables that know their hashes."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock

from oodlib.cache import replace_folder, sha256_of, writable
from oodlib.errors import OodlibError, mended

SEAL = "sha256.json"  # the hashes of the tables: a label with another letter would be believed


def whole(folder: Path, tables: Sequence[str]) -> bool:
    """Whether the tables are there and hold what was written to them; drawings are compared when they are decoded."""
    try:
        known = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        return bool(known == {name: sha256_of(folder / name) for name in tables})
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def to_draw(target: Path, tables: Sequence[str], what: str) -> Iterator[Path | None]:
    """A folder to draw into, which takes the place of `target` at the end; None where another process was faster.

    Parameters
    ----------
    target : Path
        It is missing, or its tables are damaged.
    tables : sequence of str
        The files that have to be in the folder at the end, whose hashes are kept beside them.
    what : str
        What messages call it.

    Raises
    ------
    OodlibError
        If the cache folder cannot be written.
    """
    writable(target.parent)
    with FileLock(f"{target}.lock"):
        if whole(target, tables):
            yield None
            return
        if target.exists():
            mended(f"{what} in {target}", "its tables do not hold what was written to them")
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            yield partial
            sealed = {name: sha256_of(partial / name) for name in tables}
            (partial / SEAL).write_text(json.dumps(sealed), encoding="utf-8")
            replace_folder(partial, target)
        except OSError as error:
            raise OodlibError(
                f"cannot draw {what} into {target.parent} ({error.strerror or error}): "
                "free some space, or set OODLIB_HOME to another folder"
            ) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
