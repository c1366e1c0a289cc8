"""The sets of photographs of the papers, as manifests: ImageNet and its parts, the OOD sets, the fine-grained ones.

Pictures lie below one *data root*, each set in its own layout (`oodlib.datasets.layouts`). What a set is, where it
comes from and what is known of it stands on its card (`oodlib.datasets.photo_cards`). Nothing here downloads.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from oodlib.cache import home_folder
from oodlib.datasets.base import Manifest
from oodlib.datasets.class_lists import class_ids, class_names, names_of, readable, sample
from oodlib.datasets.examination import State, examine, survey
from oodlib.datasets.hashes import hashes_of
from oodlib.datasets.photo_cards import Card, card
from oodlib.datasets.photo_cards import names as card_names
from oodlib.errors import OodlibError

__all__ = [
    "Card",
    "State",
    "card",
    "class_ids",
    "class_names",
    "data_root",
    "examine",
    "is_sample",
    "load",
    "names",
]

VARIABLE = "OODLIB_DATA"


def data_root(variable: str | None = None) -> Path:
    """Where the photographs lie: the folder that an environment variable names. It is not created.

    Parameters
    ----------
    variable : str, optional
        Asked first. Then `OODLIB_DATA`; without both, the folder `data` in the cache folder.
    """
    named = (variable and os.environ.get(variable)) or os.environ.get(VARIABLE)
    return Path(named) if named else home_folder() / "data"


def names() -> list[str]:
    """The names of all sets, sorted."""
    return list(card_names())


def is_sample(root: Path) -> bool:
    """Whether a data root is a made-up tree of tools/sample_tree.py, whose results mean nothing."""
    return sample(root) is not None


def load(name: str, root: Path) -> Manifest:
    """The manifest of a set.

    Every file is hashed the first time; later only those that changed.

    Parameters
    ----------
    name : str
        Of the set, such as "imagenet-1k" or "ninco".
    root : Path
        The data root.

    Returns
    -------
    Manifest
        Sorted by id. `id` and `uri` are the path below the root; `label` is the class's name (for ImageNet in the
        clean naming), "" where a set has no classes; an extra column `class_id` has the wnid or folder.

    Raises
    ------
    OodlibError
        If the set is not complete. Of a made-up sample no counts are asked for.
    """
    root = Path(root)
    state, listing = survey(name, root)
    if not state.fine:
        more = f" (and {len(state.problems) - 1} more)" if len(state.problems) > 1 else ""
        raise OodlibError(f"{state.problems[0]}{more}; `oodlib data check {name}` tells all")
    chosen = card(name)
    uris = sorted(listing.pictures)
    ids = [listing.pictures[uri] for uri in uris]
    called = names_of(name, "clean")
    table = pd.DataFrame(
        {
            "id": uris,
            "uri": uris,
            "label": [called.get(identity) or readable(identity) for identity in ids],
            "split": chosen.split,
            "sha256": hashes_of(chosen.home, root, uris),
            "class_id": ids,
        },
        dtype=object,
    ).astype(str)
    return Manifest(name, root, table)
