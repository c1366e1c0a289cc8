"""What a dataset is to the rest of the library: a manifest of pictures, and the sets cut out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oodlib.datasets.listing import Listed, as_named, digest_of
from oodlib.errors import OodlibError

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("id", "uri", "label", "split", "sha256")


@dataclass(frozen=True)
class Manifest:
    """The exact list of pictures of a dataset, one row a picture.

    Parameters
    ----------
    name : str
        Name of the dataset.
    root : Path
        Folder that the `uri` column is relative to.
    table : pandas.DataFrame
        Columns `id` (unique), `uri`, `label`, `split`, `sha256` of the source, and whatever else the dataset knows. The
        source is the picture's file, unless there is a column `pixels`: then the file was drawn from the source, and
        these are the SHA-256 of its RGB pixels.

    Raises
    ------
    OodlibError
        If a required column is missing or an id occurs twice.
    """

    name: str
    root: Path
    table: pd.DataFrame

    def __post_init__(self) -> None:
        missing = [column for column in REQUIRED if column not in self.table.columns]
        if missing:
            raise OodlibError(f"the manifest of {self.name} lacks the column(s) {', '.join(missing)}: make it again")
        if self.table["id"].duplicated().any():
            twice = self.table["id"][self.table["id"].duplicated()].iloc[0]
            raise OodlibError(f"the manifest of {self.name} names the picture {twice!r} twice: ids must be unique")

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the rows that identify pictures; the order of rows counts, the machine does not."""
        rows = self.table[list(REQUIRED)].astype(str).to_numpy().tolist()
        return digest_of(self.name, rows)

    @property
    def ids(self) -> list[str]:
        """The id of each picture, in row order."""
        return list(self.table["id"])

    def select(self, mask: pd.Series | np.ndarray) -> Manifest:
        """Rows where `mask` (N,) is true, in the same order."""
        return Manifest(self.name, self.root, self.table[np.asarray(mask, dtype=bool)].reset_index(drop=True))

    def paths(self) -> list[Path]:
        """Where the pictures lie, in row order."""
        return [self.root / as_named(uri) for uri in self.table["uri"]]

    def files(self) -> list[Listed]:
        """The pictures with what they hold, in row order."""
        drawn = self.table["pixels"] if "pixels" in self.table.columns else [""] * len(self)
        return list(map(Listed, self.paths(), self.table["sha256"], drawn))


@dataclass(frozen=True)
class Benchmark:
    """An in-distribution set and the sets it must be told apart from.

    Parameters
    ----------
    name : str
        Name of the ID set.
    names : tuple of str
        The ID class names, in label order: what a detector learns from.
    id : Manifest
        ID pictures; each `label` is one of `names`.
    ood : mapping of str to Manifest
        The other sets. Those of kind `covariate` show ID classes drawn otherwise: a detector of *semantic* shift
        should let them pass.
    kinds : mapping of str to str
        Per set `far`, `near`, `hard` or `covariate`.
    """

    name: str
    names: tuple[str, ...]
    id: Manifest
    ood: Mapping[str, Manifest]
    kinds: Mapping[str, str]

    def __post_init__(self) -> None:
        strangers = set(self.id.table["label"]) - set(self.names)
        if strangers:
            raise OodlibError(
                f"{self.name}: ID pictures carry labels outside the class names, such as {min(strangers)!r}"
            )
        if set(self.ood) != set(self.kinds):
            raise OodlibError(f"{self.name}: every OOD set needs a kind, and every kind a set")

    @property
    def id_labels(self) -> np.ndarray:
        """Index of each ID picture's class in `names`, shape (N,)."""
        index = {name: i for i, name in enumerate(self.names)}
        return np.array([index[label] for label in self.id.table["label"]], dtype=np.int64)


def union(parts: Iterable[Manifest]) -> Manifest:
    """The pictures of several sets of one dataset, each once, sorted by id: what has to be embedded."""
    import pandas as pd

    listed = list(parts)
    table = pd.concat([part.table for part in listed]).drop_duplicates("id").sort_values("id", kind="stable")
    return Manifest(listed[0].name, listed[0].root, table.reset_index(drop=True))
