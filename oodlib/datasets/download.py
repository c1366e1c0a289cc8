"""One file over HTTP: resumed where it broke off, checked by size and checksum, in its place only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from oodlib.datasets.photo_cards import Archive
from oodlib.errors import OodlibError

TIMEOUT = 60.0  # seconds without a byte
BLOCK = 1 << 20
AGAIN = "the same command goes on where it stopped"


def download(
    archive: Archive,
    folder: Path,
    *,
    heard: Callable[[int, int | None], object] = lambda *_: None,
    timeout: float = TIMEOUT,
) -> Path:
    """Fetch a file into a folder, or go on with one that was begun.

    What has come is kept as `FILE.part`; when all is there and the checksum is right, it becomes `FILE`.

    Parameters
    ----------
    archive : Archive
        With its address, and size and checksum where they are known.
    folder : Path
        Created if need be.
    heard : callable
        Called after each block with the bytes so far, and with how many there will be if that is known.
    timeout : float
        Seconds without a byte after which the host counts as gone.

    Raises
    ------
    OodlibError
        If the host cannot be reached, has no such file, sends the wrong one, or the disk is full.
    """
    target = folder / archive.file
    part = folder / f"{archive.file}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            _receive_all(archive, part, heard, timeout)
            verify(part, archive)
            part.replace(target)
        else:
            verify(target, archive)
    except OSError as error:
        raise _in_words(error, archive, folder) from error
    return target


def verify(path: Path, archive: Archive, *, ours: bool = True) -> None:
    """See that a file is the one on the card.

    Parameters
    ----------
    path : Path
    archive : Archive
        A size or checksum that is not known is not compared.
    ours : bool
        Whether this project downloaded it: then a wrong one is deleted.

    Raises
    ------
    OodlibError
        If it is another file.
    """
    size = path.stat().st_size
    wrong = ""
    if archive.bytes is not None and size != archive.bytes:
        wrong = f"has {size:,} bytes instead of {archive.bytes:,}"
    elif archive.checksum is not None:
        kind, value = archive.checksum.split(":")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        wrong = "" if found == value else f"has the wrong checksum ({kind} {found}, expected {value})"
    if wrong and ours:
        path.unlink()
        raise OodlibError(
            f"what came from {archive.address} {wrong}, so it was deleted: try again; "
            "if that repeats, the file has changed"
        )
    if wrong:
        raise OodlibError(f"{path} {wrong}: move it away")


def _receive_all(archive: Archive, part: Path, heard: Callable[[int, int | None], object], timeout: float) -> None:
    """Ask for the rest until all is there; a broken connection is made anew as long as each brings something."""
    while True:
        before = part.stat().st_size if part.exists() else 0
        total = _receive(archive, part, before, heard, timeout)
        got = part.stat().st_size
        whole = total if total is not None else archive.bytes
        if whole is None or got >= whole:
            return
        if got <= before:
            raise OodlibError(f"the connection to {archive.address} broke after {got:,} of {whole:,} bytes: {AGAIN}")


def _receive(
    archive: Archive, part: Path, have: int, heard: Callable[[int, int | None], object], timeout: float
) -> int | None:
    """One request; gives the size of the whole file, if the server tells."""
    address = archive.address or ""
    if urlsplit(address).scheme not in ("http", "https"):
        raise OodlibError(f"{archive.file} has no address on the web: fetch it by hand")
    if archive.bytes is not None and have >= archive.bytes:
        return archive.bytes
    request = urllib.request.Request(address, headers={"User-Agent": "oodlib"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            # All of it is there already, or the part is of another file: the check that follows tells.
            return have
        raise
    with answer:
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT and answer.headers.get(
            "Content-Range", ""
        ).startswith(f"bytes {have}-")
        start = have if goes_on else 0  # a server that cannot go on sends everything
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        with part.open("ab" if goes_on else "wb") as file:
            got = start
            try:
                while block := answer.read1(BLOCK):
                    file.write(block)
                    got += len(block)
                    heard(got, archive.bytes or total)
            except (http.client.HTTPException, ConnectionResetError):
                pass  # what came is kept, and the rest is asked for
    return total


def _in_words(error: OSError, archive: Archive, folder: Path) -> OodlibError:
    """What went wrong, in one sentence."""
    host = urlsplit(archive.address or "").netloc
    reason = getattr(error, "reason", error)
    if isinstance(error, urllib.error.HTTPError):
        if error.code in (http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE):
            return OodlibError(f"{archive.address} is not there any more ({error.code}): look on the set's page for it")
        return OodlibError(f"{host} refuses {archive.file} ({error.code} {error.reason}): try again later")
    if isinstance(error, TimeoutError) or isinstance(reason, TimeoutError):
        return OodlibError(f"{host} does not answer: try again later, {AGAIN}")
    if isinstance(error, urllib.error.URLError):
        return OodlibError(f"cannot reach {host} ({reason}): check the network, then {AGAIN}")
    if error.errno == errno.ENOSPC:
        free = shutil.disk_usage(folder).free
        return OodlibError(f"the disk of {folder} is full ({free:,} bytes free): free some space, then {AGAIN}")
    return OodlibError(f"cannot write in {folder} ({error.strerror or error}): choose a folder that can be written")
