"""The book as a reader gets it: every notebook executed, the site built, served, and opened.

Under the small setting, in a folder of the tests; `OODLIB_TEST_BOOK=whole` looks at what `make reproduce` made.
"""

import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from oodlib.book import site
from oodlib.book.chapters import jobs_of
from oodlib.book.side_by_side import execute_all
from oodlib.experiments.profiles import load_profile
from tests.pages.try_it import Visits

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def small() -> bool:
    """Whether the book that is looked at is the small one."""
    return os.environ.get("OODLIB_TEST_BOOK") != "whole"


@pytest.fixture(scope="session")
def built(small: bool) -> Iterator[Path]:
    """The folder of the run: executed notebooks, records, results, `html/`. Kept, and redone where stale."""
    before = {name: os.environ.get(name) for name in ("OODLIB_BUILD", "OODLIB_PROJECT")}
    (ROOT / "_build").mkdir(exist_ok=True)
    folder = ROOT / "_build" / ("test-build" if small else "")
    os.environ |= {"OODLIB_BUILD": str(folder), "OODLIB_PROJECT": str(ROOT)}
    try:
        with FileLock(ROOT / "_build" / "test-build.lock"):  # the tests run in several processes
            list(execute_all(jobs_of([], load_profile("pocket", small=small))))
            index, _ = site.build(small=small)
        yield index.parent.parent
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@pytest.fixture(scope="session")
def html(built: Path) -> Path:
    """The site."""
    return built / "html"


@pytest.fixture(scope="session")
def address(html: Path) -> Iterator[str]:
    """The site on a port of this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture
def visit(browser: Any, served: str) -> Iterator[Visits]:
    """A function that opens *Try it* where a test's own `served` says; what goes wrong there fails the test."""
    visits = Visits(browser, served)
    yield visits
    visits.close()
    assert visits.wrong == []
