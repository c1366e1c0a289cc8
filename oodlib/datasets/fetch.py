"""A whole set from its archives: downloaded or found, unpacked near its place, and moved there in one step."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from oodlib.datasets.class_lists import sample
from oodlib.datasets.download import download, verify
from oodlib.datasets.exports import export_set
from oodlib.datasets.photo_cards import Archive, Card, Landing
from oodlib.datasets.unpack import inner_folder, unpack
from oodlib.errors import OodlibError

DOWNLOADS = ".downloads"  # below the data root, so that moving a set into place crosses no disk


def fetch(
    chosen: Card,
    root: Path,
    *,
    heard: Callable[[Archive, int, int | None], object] = lambda *_: None,
    notify: Callable[[str], object] = lambda *_: None,
) -> Path:
    """Make a set's folder below the data root; a download that was interrupted goes on.

    An archive that lies in the data root already is checked and used, and stays there. Archives that were downloaded
    are deleted once the set is in its place.

    Parameters
    ----------
    chosen : Card
        Of a set whose archives all have an address.
    root : Path
        The data root; created if need be.
    heard : callable
        Called with the archive, its bytes so far, and how many it will have if that is known.
    notify : callable
        Called with what happens, a line at a time.

    Returns
    -------
    Path
        The set's folder.

    Raises
    ------
    OodlibError
        If the place is taken, a download fails, or an archive is not what it must be. The place then stays empty.
    """
    landing = chosen.landing
    if landing is None or not chosen.fetchable:
        raise OodlibError(f"{chosen.name} has to be fetched by hand: `oodlib data get {chosen.name}` says how")
    if sample(root) is not None:
        raise OodlibError(f"{root} is a made-up sample: choose another data root for real pictures")
    target = root / landing.to
    downloads = root / DOWNLOADS
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        with FileLock(downloads / f"{chosen.home}.lock", timeout=0):
            if target.is_dir() and any(target.iterdir()):
                raise OodlibError(
                    f"{target} is there already and not complete: move it away, then get {chosen.name} again"
                )
            archives = [_one(archive, root, downloads, heard) for archive in chosen.archives]
            for archive, path in zip(chosen.archives, archives, strict=True):
                if archive.checksum is None:
                    notify(f"nobody publishes a checksum of {path.name}; unpacking is the only check")
            notify(f"unpacking into {target}")
            _land(landing, archives, downloads, target)
            for path in archives:
                if path.parent == downloads:
                    path.unlink()
    except Timeout:
        raise OodlibError(f"{chosen.name} is being fetched into {root} by another process: wait for it") from None
    except OSError as error:
        raise OodlibError(
            f"cannot write in {root} ({error.strerror or error}): choose another data root with OODLIB_DATA"
        ) from error
    return target


def _one(archive: Archive, root: Path, downloads: Path, heard: Callable[[Archive, int, int | None], object]) -> Path:
    lying = root / archive.file
    if lying.is_file():
        verify(lying, archive, ours=False)
        return lying
    return download(archive, downloads, heard=lambda got, total: heard(archive, got, total))


def _land(landing: Landing, archives: list[Path], downloads: Path, target: Path) -> None:
    """Unpack on the disk of the target, export if need be, then rename."""
    work = Path(tempfile.mkdtemp(prefix="unpacking-", dir=downloads))
    try:
        unpacked = work / "unpacked"
        unpacked.mkdir()
        for path in archives:
            unpack(path, unpacked)
        folder = inner_folder(unpacked, landing.take)
        if landing.export:
            export_set(landing.export, folder, work / "exported")
            folder = work / "exported"
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()  # it is empty: seen above
        folder.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
