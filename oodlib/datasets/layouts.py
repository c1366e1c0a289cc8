"""How each set of photographs lies on disk: small functions that list (path, class id) below the data root.

Sets that bring lists of their own (CUB, Cars, Food, Pets, Waterbirds) are read by those; of the others the folders
count. Names that start with a dot are left out.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from oodlib.datasets.folder import SUFFIXES
from oodlib.datasets.photo_cards import Layout
from oodlib.errors import OodlibError


@dataclass(frozen=True)
class Listing:
    """What lies below a data root.

    Parameters
    ----------
    pictures : dict of str to str
        Class id ("" where the set has none) by path below the data root, with /.
    missing : tuple of str
        Paths that the set's own lists name and that are not there.
    astray : tuple of str
        Pictures that lie one or more levels too high or too deep.
    others : tuple of str
        Files among the pictures that are not named like pictures.
    unknown : tuple of str
        Folders that are no class of the set.
    """

    pictures: dict[str, str]
    missing: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def list_pictures(layout: Layout, root: Path, classes: Container[str] | None = None) -> Listing:
    """What a set has below the data root, in no particular order.

    Parameters
    ----------
    layout : Layout
        Of the set's card.
    root : Path
        The data root.
    classes : container of str, optional
        Only pictures of these class ids.

    Raises
    ------
    OodlibError
        If a folder or one of the set's own lists cannot be read.
    """
    try:
        if layout.kind in _FOLDERS:
            return _FOLDERS[layout.kind](root, layout.folder, classes)
        pairs = list(_LISTS[layout.kind](root, layout))
    except OSError as error:
        raise OodlibError(
            f"cannot read {error.filename or root / layout.folder} ({error.strerror or error}): "
            "unpack the set again, or make the file readable"
        ) from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise OodlibError(
            f"{' or '.join(layout.lists)} is not what the set comes with ({error}): unpack it again"
        ) from error
    wanted = {uri: identity for uri, identity in pairs if classes is None or identity in classes}
    for uri in wanted:
        if ".." in PurePosixPath(uri).parts or PurePosixPath(uri).is_absolute():
            raise OodlibError(f"{layout.lists[0]} names {uri!r}, outside its folder: unpack the set again")
    missing = tuple(sorted(uri for uri in wanted if not (root / uri).is_file()))
    for uri in missing:
        del wanted[uri]
    return Listing(wanted, missing)


def holds_pictures(folder: Path, deep: bool) -> bool:
    """Whether there are pictures in a folder, or with `deep` in the folders in it."""
    if not folder.is_dir():
        return False
    places = [entry for entry in folder.iterdir() if entry.is_dir()] if deep else [folder]
    return any(_is_picture(entry.name) and entry.is_file() for place in places for entry in place.iterdir())


def class_folders(root: Path, folder: str, classes: Container[str] | None) -> Listing:
    """A folder for each class, pictures in it: `val/n01440764/ILSVRC2012_val_00000293.JPEG`."""
    pictures: dict[str, str] = {}
    astray, others, unknown = [], [], []
    for entry in os.scandir(root / folder):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            if _is_picture(entry.name):
                astray.append(f"{folder}/{entry.name}")
        elif classes is not None and entry.name not in classes:
            unknown.append(f"{folder}/{entry.name}")
        else:
            for path in _files(root / folder / entry.name):
                uri = f"{folder}/{entry.name}/{path}"
                if not _is_picture(path):
                    others.append(uri)
                elif "/" in path:
                    astray.append(uri)
                else:
                    pictures[uri] = entry.name
    return Listing(pictures, (), tuple(sorted(astray)), tuple(sorted(others)), tuple(sorted(unknown)))


def flat(root: Path, folder: str, classes: Container[str] | None) -> Listing:
    """All pictures in one folder, without classes."""
    listing = tree(root, folder, classes)
    astray = {uri for uri in listing.pictures if uri.count("/") > folder.count("/") + 1}
    kept = {uri: "" for uri in listing.pictures if uri not in astray}
    return Listing(kept, (), tuple(sorted(astray)), listing.others)


def tree(root: Path, folder: str, _classes: Container[str] | None) -> Listing:
    """All pictures in a folder and in the folders below it, without classes."""
    paths = list(_files(root / folder))
    pictures = {f"{folder}/{path}": "" for path in paths if _is_picture(path)}
    return Listing(pictures, others=tuple(sorted(f"{folder}/{path}" for path in paths if not _is_picture(path))))


def cub(root: Path, layout: Layout) -> Iterator[tuple[str, str]]:
    """CUB-200-2011: `images.txt` numbers the pictures, `train_test_split.txt` has 0 for those of the test."""
    paths, training = (dict(line.split() for line in _lines(root / name)) for name in layout.lists)
    for number, path in paths.items():
        if training[number] == "0":
            yield f"{layout.folder}/{path}", path.split("/")[0]


def food(root: Path, layout: Layout) -> Iterator[tuple[str, str]]:
    """Food-101: `meta/test.txt` has a line `class/number` for each picture."""
    for line in _lines(root / layout.lists[0]):
        yield f"{layout.folder}/{line}.jpg", line.split("/")[0]


def pets(root: Path, layout: Layout) -> Iterator[tuple[str, str]]:
    """Oxford-IIIT Pets: `annotations/test.txt` has lines such as `american_bulldog_12 2 2 1`."""
    for line in _lines(root / layout.lists[0]):
        if not line.startswith("#"):
            stem = line.split()[0]
            yield f"{layout.folder}/{stem}.jpg", stem.rsplit("_", 1)[0].replace("_", " ").title()


def cars(root: Path, layout: Layout) -> Iterator[tuple[str, str]]:
    """Stanford Cars: `cars_test_annos_withlabels.mat` has file and class number, `cars_meta.mat` the names."""
    from scipy.io import loadmat  # only this set needs it

    tables = []
    for name in layout.lists:
        with (root / name).open("rb") as file:
            tables.append(loadmat(file, squeeze_me=True))
    annotations, meta = tables
    names = [str(name) for name in meta["class_names"]]
    for row in annotations["annotations"]:
        yield f"{layout.folder}/{row['fname']}", names[int(row["class"]) - 1]


def waterbirds(root: Path, layout: Layout) -> Iterator[tuple[str, str]]:
    """Waterbirds: in `metadata.csv`, `split` is 1 for the validation, and `y` is 1 for waterbirds."""
    with (root / layout.lists[0]).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == "1":
                yield f"{layout.folder}/{row['img_filename']}", ("landbird", "waterbird")[int(row["y"])]


_FOLDERS: dict[str, Callable[[Path, str, Container[str] | None], Listing]] = {
    "class_folders": class_folders,
    "flat": flat,
    "tree": tree,
}
_LISTS: dict[str, Callable[[Path, Layout], Iterable[tuple[str, str]]]] = {
    "cub": cub,
    "food": food,
    "pets": pets,
    "cars": cars,
    "waterbirds": waterbirds,
}


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 (a million names: Path is ten times slower)


def _files(folder: Path) -> Iterator[str]:
    """Files in a folder and below it, as paths below the folder with /."""
    above = str(folder)
    for place, folders, names in os.walk(above, onerror=_stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = os.path.relpath(place, above).replace(os.sep, "/")
        yield from (name if below == "." else f"{below}/{name}" for name in names if not name.startswith("."))


def _stop(error: OSError) -> None:
    raise error
