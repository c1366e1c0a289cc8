import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every machine and in every run; the first call into torch may be slow.
settings.register_profile("oodlib", deadline=None, derandomize=True)
settings.load_profile("oodlib")

# Pictures, models and features of the tests; `make clean` deletes them, a person's own cache stays as it is.
os.environ["OODLIB_HOME"] = str(Path(__file__).parent.parent / "_build" / "test-home")

Golden = Callable[[str], dict[str, np.ndarray]]


@cache
def _load(name: str) -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "data" / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="session")
def golden() -> Golden:
    """Arrays that the official code of a method computed; tests/data/README.md says how."""
    return _load


@pytest.fixture(scope="session")
def pocket():
    """PocketCLIP, loaded once."""
    from oodlib.encoders import load_encoder  # the tests of the project's files need no model

    return load_encoder("pocket")


@pytest.fixture(scope="session")
def drawings() -> dict[str, Path]:
    """A few real drawings of the benchmark, by what they show."""
    from oodlib.datasets import emojishift

    table = emojishift.load()
    chosen = table.select((table.table["hand"] == "twemoji").to_numpy())
    named = dict(zip(chosen.table["label"], chosen.paths(), strict=True))
    return {name: named[name] for name in ("banana", "tiger", "pineapple", "glasses", "bicycle", "rocket")}


@pytest.fixture(scope="session")
def sample_tree(tmp_path_factory) -> Path:
    """A made-up tree in the layouts of all sets of photographs. Copy what you change."""
    from tools.sample_tree import make

    return make(tmp_path_factory.mktemp("photos") / "root")
