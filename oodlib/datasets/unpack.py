"""Archives of strangers: unpacked into a folder of their own, and never outside it."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from oodlib.errors import OodlibError


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar (plain or compressed), a zip or a single gzip file; any other file is copied.

    Parameters
    ----------
    archive : Path
    folder : Path
        Must be there.

    Raises
    ------
    OodlibError
        If it is damaged, names a place outside the folder or the disk is full.
    """
    try:
        if archive.name.endswith((".tar", ".tar.gz", ".tgz")):
            with tarfile.open(archive) as tar:
                if not hasattr(tarfile, "data_filter"):
                    raise OodlibError("this Python cannot unpack archives safely: use 3.11.4 or a later one")
                tar.extractall(folder, filter="data")
        elif archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as packed:
                for name in packed.namelist():
                    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
                        raise OodlibError(f"{archive} would write outside its folder ({name!r}): delete it")
                packed.extractall(folder)
        elif archive.suffix == ".gz":
            with gzip.open(archive) as packed_file, (folder / archive.stem).open("wb") as file:
                shutil.copyfileobj(packed_file, file)
        else:
            shutil.copy(archive, folder)
    except tarfile.FilterError as error:
        raise OodlibError(f"{archive} would write outside its folder ({error}): delete it") from error
    except (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, RuntimeError) as error:
        why = (str(error) or "it breaks off").splitlines()[0]
        raise OodlibError(f"cannot unpack {archive} ({why}): delete it and fetch it again") from error
    except OSError as error:
        raise OodlibError(
            f"cannot unpack {archive} into {folder} ({error.strerror or error}): "
            "free some space, or choose another folder"
        ) from error


def inner_folder(folder: Path, take: str) -> Path:
    """The folder inside that is wanted: "" all, "*" the innermost that is alone, else the one of that name.

    Raises
    ------
    OodlibError
        If there is none of that name.
    """
    if take == "*":
        while len(inside := [entry for entry in folder.iterdir() if not entry.name.startswith(("__", "."))]) == 1:
            if not inside[0].is_dir():
                break
            folder = inside[0]
        return folder
    if not (folder / take).is_dir():
        raise OodlibError(f"the archive has no folder {take}: its makers changed it, so unpack it by hand")
    return folder / take
