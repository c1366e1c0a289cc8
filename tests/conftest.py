import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

# Where several processes run the tests, each computes on its share of the cores, and so do the notebooks and commands
# that it starts: threads that wait for a core spin. NumPy and torch read this when they are first imported, and round
# otherwise with another number of threads: set later, a command would not give the last digits of this process.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    share = max(1, (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    os.environ.setdefault("OMP_NUM_THREADS", str(share))

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before a test imports it: `oodlib.pocket.sessions.runtime`

import numpy as np
import pytest
from hypothesis import settings

# The same examples on every machine and in every run; the first call into torch may be slow.
settings.register_profile("oodlib", deadline=None, derandomize=True)
settings.load_profile("oodlib")

# Pictures, models and features of the tests; `make clean` deletes them, a person's own cache stays as it is.
os.environ["OODLIB_HOME"] = str(Path(__file__).parent.parent / "_build" / "test-home")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file share what it sets up: one process for each file, in the order below."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.split("::", 1)[0]

    config.option.loadscopereorder = False  # by number of tests would leave the longest for the end
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests first, which build the book for minutes; the others that look at it behind two thirds.

    So no process waits until the book is there, and none is left alone with that of photographs at the end.
    """
    files = list(dict.fromkeys(item.path for item in items))
    first = [path for path in files if path.name == "test_browser.py"]
    book = [path for path in files if path.parent.name == "pages" and path not in first]
    others = [path for path in files if path not in first and path not in book]
    early = 2 * len(others) // 3
    place = {path: k for k, path in enumerate([*first, *others[:early], *book, *others[early:]])}
    items.sort(key=lambda item: place[item.path])


# As root in a container, and without asking the network for anything.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


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
    from oodlib.encoders.load import load_encoder  # the tests of the project's files need no model

    return load_encoder("pocket")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    """A small language model with random weights in a folder of Hugging Face's, with the tokenizer of MiniLM."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from oodlib.pocket.assemble import text_tower_folder

    place: Path = tmp_path_factory.mktemp("models") / "tiny"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        BertModel(BertConfig(**sizes, max_position_embeddings=64)).save_pretrained(place)
    AutoTokenizer.from_pretrained(text_tower_folder()).save_pretrained(place)
    return place


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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; where there is none the tests are skipped, but for CI, where they must not be."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("no Chromium on this machine (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=list(FLAGS))
        yield opened
        opened.close()
