"""Make a small made-up tree in the layouts of all sets of photographs: `python tools/sample_tree.py FOLDER`.

Folders, wnids and names are the real ones; the pictures are coloured noise with shapes, seeded by their names, so that
the same tree comes out everywhere. It is for trying the commands and for tests: results on it mean nothing, and
SAMPLE.json at its top says so.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from oodlib.datasets.class_lists import SAMPLE, class_ids, listed
from oodlib.errors import OodlibError

CLASSES = 40  # of ImageNet-1k; those of ImageNet-10 and ImageNet-20 are always among them
PER_CLASS = 2
OOD = 60  # pictures of each OOD set
FEW = 10  # classes of each other list, and of what it leaves out
NINCO = ("amphiuma_means", "chicken_quesadilla", "creme_brulee", "darlingtonia_californica", "windsor_chair")
IMAGENET_21K = ("n00470682", "n04542943", "n11622368")  # wnids of ImageNet-21k that are not among the thousand
NOTE = "made-up pictures in the layouts of real sets, for trying commands and for tests: results on them mean nothing"


def draw(path: Path, seed: str, colour: str = "", side: int | None = None) -> None:
    """A picture of coloured noise and two shapes; `colour` is a word that pictures of one class share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    shared = hashlib.sha256((colour or seed).encode()).digest()
    width, height = (side, side) if side else (int(n) for n in random.integers(64, 401, 2))
    coarse = random.integers(0, 90, (8, 8, 3), dtype=np.uint8) + np.frombuffer(shared[:3], np.uint8) // 2
    picture = Image.fromarray(coarse.astype(np.uint8)).resize((width, height), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(picture)
    for fill in (shared[3:6], shared[6:9]):
        x, y = (int(n) for n in random.integers(0, (width // 2, height // 2)))
        shape = (x, y, x + width // 3, y + height // 3)
        (pen.ellipse if fill[0] % 2 else pen.rectangle)(shape, fill=tuple(fill))
    picture.save(path)


def wnids(count: int) -> list[str]:
    """The wnids of the sample: all of ImageNet-10 and -20, then those of ImageNet-100, then others, to `count`."""
    always = set(listed("imagenet-10")) | set(listed("imagenet-20"))
    more = [wnid for name in ("imagenet-100", "imagenet-1k") for wnid in listed(name) if wnid not in always]
    return sorted([*always, *list(dict.fromkeys(more))[: max(0, count - len(always))]])


def imagenet(root: Path, ids: list[str]) -> None:
    """`imagenet/val` and `imagenet/train`, a folder for each wnid."""
    for number, wnid in enumerate(ids):
        for k in range(PER_CLASS):
            val = f"ILSVRC2012_val_{number * PER_CLASS + k + 1:08d}.JPEG"
            draw(root / "imagenet" / "val" / wnid / val, f"val {wnid} {k}", wnid)
            draw(root / "imagenet" / "train" / wnid / f"{wnid}_{k}.JPEG", f"train {wnid} {k}", wnid)


def ood_sets(root: Path) -> None:
    """The flat sets and those with a folder for each class."""
    for folder in ("iNaturalist/images", "SUN/images", "Places/images", "openimage_o/images", "placesbg/water"):
        for k in range(OOD):
            name = hashlib.sha256(f"{folder} {k}".encode()).hexdigest()[:16]
            draw(root / folder / f"{name}.jpg", f"{folder} {k}")
    by_class = {
        "dtd/images": class_ids("textures"),
        "NINCO/NINCO_OOD_classes": NINCO,
        "ssb_hard": IMAGENET_21K,
        "imagenet-o": IMAGENET_21K,
    }
    for folder, classes in by_class.items():
        suffix = "JPEG" if folder in ("ssb_hard", "imagenet-o") else "jpg"
        for k in range(max(OOD, len(classes))):
            name = classes[k % len(classes)]
            draw(root / folder / name / f"{name}_{k:04d}.{suffix}", f"{folder} {k}", name)


def few(name: str) -> list[str]:
    """Some classes of a list that is split in two, from both parts."""
    part = {"cub-200": "cub-100", "cars-196": "cars-98", "food-101": "food-50", "pet-37": "pet-18"}[name]
    return sorted([*class_ids(part)[:FEW], *class_ids(f"{part}-rest")[:FEW]])


def fine_grained(root: Path) -> dict[str, list[str]]:
    """CUB, Food, Pets and Cars with the files that say what belongs to the test; gives their classes."""
    chosen = {name: few(name) for name in ("cub-200", "cars-196", "food-101", "pet-37")}
    rows = [(name, k) for name in chosen["cub-200"] for k in range(PER_CLASS + 1)]  # the last of each is for training
    paths = [f"{name}/{name.split('.')[1]}_{k:04d}.jpg" for name, k in rows]
    for path, (name, _) in zip(paths, rows, strict=True):
        draw(root / "CUB_200_2011" / "images" / path, path, name)
    _write(root / "CUB_200_2011/images.txt", [f"{n} {path}" for n, path in enumerate(paths, 1)])
    split = [f"{n} {int(k == PER_CLASS)}" for n, (_, k) in enumerate(rows, 1)]
    _write(root / "CUB_200_2011/train_test_split.txt", split)

    food = [f"{name}/{k + 1000}" for name in chosen["food-101"] for k in range(PER_CLASS)]
    for path in food:
        draw(root / "food-101" / "images" / f"{path}.jpg", path, path.split("/")[0])
    _write(root / "food-101/meta/test.txt", food)

    pets = [(f"{breed.replace(' ', '_')}_{k + 1}", breed) for breed in chosen["pet-37"] for k in range(PER_CLASS)]
    for stem, breed in pets:
        draw(root / "oxford-iiit-pet" / "images" / f"{stem}.jpg", stem, breed)
    _write(root / "oxford-iiit-pet/annotations/test.txt", [f"{stem} 1 1 1" for stem, _ in pets])
    _cars(root / "stanford_cars", chosen["cars-196"])
    return chosen


def _cars(folder: Path, names: list[str]) -> None:
    from scipy.io import savemat  # the real set brings such files

    names_of_set = listed("cars-196")
    rows = [(f"{n:05d}.jpg", names_of_set.index(name) + 1) for n, name in enumerate(names * PER_CLASS, 1)]
    for file, number in rows:
        draw(folder / "cars_test" / file, f"cars {file}", names_of_set[number - 1])
    (folder / "devkit").mkdir()
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": np.array(names_of_set, dtype=object)})
    annotations = np.array(rows, dtype=[("fname", object), ("class", object)])
    savemat(folder / "cars_test_annos_withlabels.mat", {"annotations": annotations})


def waterbirds(root: Path) -> None:
    """Waterbirds with its metadata.csv, of which the validation split counts."""
    folder = root / "waterbird_complete95_forest2water2"
    rows = []
    for k in range(OOD // 2):
        path = f"{listed('cub-200')[k]}/bird_{k:04d}.jpg"
        draw(folder / path, f"waterbirds {k}", "water" if k % 2 else "land")
        rows.append((k, path, k % 2, k % 3, k // 2 % 2, "none"))
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("img_id", "img_filename", "y", "split", "place", "place_filename"))
        writer.writerows(rows)


def small_pictures(root: Path) -> dict[str, list[str]]:
    """CIFAR, SVHN and MNIST as `oodlib data get` leaves them: PNG files in a folder for each class."""
    chosen = {"cifar-10": listed("cifar-10"), "cifar-100": listed("cifar-100")[:FEW], "digits": listed("digits")}
    for folder, name, side in (
        ("cifar10", "cifar-10", 32),
        ("cifar100", "cifar-100", 32),
        ("svhn", "digits", 32),
        ("mnist", "digits", 28),
    ):
        for k in range(OOD):
            identity = chosen[name][k % len(chosen[name])]
            draw(root / folder / "test" / identity / f"{k:05d}.png", f"{folder} {k}", f"{folder} {identity}", side)
    return {name: list(ids) for name, ids in chosen.items()}


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def make(folder: Path, classes: int = CLASSES) -> Path:
    """Make the tree; one that is there already is made anew.

    Parameters
    ----------
    folder : Path
        Becomes the data root.
    classes : int
        Classes of ImageNet-1k, at least the 30 of ImageNet-10 and ImageNet-20.

    Raises
    ------
    OodlibError
        If the folder holds anything but such a tree.
    """
    if folder.exists():
        if any(folder.iterdir()) and not (folder / SAMPLE).exists():
            raise OodlibError(f"{folder} holds something else: name an empty folder, or one that is not there yet")
        shutil.rmtree(folder)
    ids = wnids(classes)
    folder.mkdir(parents=True)
    # Written first: a tree that was cut short is then still known as a sample, and can be made anew.
    content = {"sample": True, "classes": ids, "others": {}, "note": NOTE}
    (folder / SAMPLE).write_text(json.dumps(content), encoding="utf-8")
    imagenet(folder, ids)
    ood_sets(folder)
    waterbirds(folder)
    others = fine_grained(folder) | small_pictures(folder)
    others |= {"waterbirds": list(listed("waterbirds")), "textures": list(listed("textures"))}
    (folder / SAMPLE).write_text(json.dumps({**content, "others": others}, indent=1), encoding="utf-8")
    return folder


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classes", type=int, default=CLASSES, help="of ImageNet-1k (default: %(default)s)")
    given = parser.parse_args()
    try:
        make(given.folder, given.classes)
    except (OodlibError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"made up {sum(1 for path in given.folder.rglob('*') if path.is_file()):,} files in {given.folder}")


if __name__ == "__main__":
    main()
