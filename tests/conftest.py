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
