"""Sets that come as arrays, read by torchvision and written as PNG files: afterwards every set is files on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from oodlib.datasets.class_lists import listed
from oodlib.errors import OodlibError


def export(pairs: Iterable[tuple[Image.Image, int]], classes: Sequence[str], folder: Path) -> int:
    """Write pictures without loss as `folder/CLASS/NUMBER.png`, numbered in their order; gives how many.

    Parameters
    ----------
    pairs : iterable of (PIL.Image.Image, int)
        Picture and index into `classes`.
    classes : sequence of str
        Names of the folders.
    folder : Path
        Created if need be.
    """
    count = 0
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for picture, label in pairs:
        picture.save(folder / classes[label] / f"{count:05d}.png")
        count += 1
    return count


def export_set(kind: str, source: Path, folder: Path) -> int:
    """Read the unpacked files of "cifar10", "cifar100", "svhn" or "mnist" and write the test pictures.

    Raises
    ------
    OodlibError
        If the files are not what they must be.
    """
    try:
        pairs, classes = _READERS[kind](source)
        return export(pairs, classes, folder)
    except OodlibError:
        raise
    except (RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        raise OodlibError(f"cannot turn {kind} into PNG files ({error}): fetch it again") from error


def cifar(dataset: Any, expected: Sequence[str]) -> tuple[Iterable[tuple[Image.Image, int]], Sequence[str]]:
    """CIFAR as torchvision reads it, and its classes, which must be those of our list."""
    if sorted(dataset.classes) != sorted(expected):
        raise OodlibError("the class names in CIFAR's archive are not those it is known for: fetch it again")
    return (dataset[k] for k in range(len(dataset))), dataset.classes


def _cifar10(source: Path) -> tuple[Iterable[tuple[Image.Image, int]], Sequence[str]]:
    from torchvision.datasets import CIFAR10  # checks the MD5 of every file

    return cifar(CIFAR10(source, train=False), listed("cifar-10"))


def _cifar100(source: Path) -> tuple[Iterable[tuple[Image.Image, int]], Sequence[str]]:
    from torchvision.datasets import CIFAR100

    return cifar(CIFAR100(source, train=False), listed("cifar-100"))


def _svhn(source: Path) -> tuple[Iterable[tuple[Image.Image, int]], Sequence[str]]:
    from torchvision.datasets import SVHN

    dataset = SVHN(source, split="test")
    return (dataset[k] for k in range(len(dataset))), listed("digits")


def _mnist(source: Path) -> tuple[Iterable[tuple[Image.Image, int]], Sequence[str]]:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    # torchvision's MNIST asks for the training files, too; the test needs only these two
    pictures = read_image_file(str(source / "t10k-images-idx3-ubyte")).numpy()
    labels = read_label_file(str(source / "t10k-labels-idx1-ubyte")).tolist()

    def pairs() -> Iterator[tuple[Image.Image, int]]:
        for picture, label in zip(pictures, labels, strict=True):
            yield Image.fromarray(picture), label

    return pairs(), listed("digits")


_READERS: dict[str, Callable[[Path], tuple[Iterable[tuple[Image.Image, int]], Sequence[str]]]] = {
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "svhn": _svhn,
    "mnist": _mnist,
}
