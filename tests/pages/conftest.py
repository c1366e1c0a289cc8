"""The book as a reader gets it: every notebook executed under the small setting, the site built, served, and opened."""

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from oodlib.book import notebooks, site

ROOT = Path(__file__).parent.parent.parent
# As root in a container, and without asking the network for anything.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def built() -> Iterator[Path]:
    """The folder of the small run: executed notebooks, records, results, `html/`. Kept, and redone where stale."""
    before = {name: os.environ.get(name) for name in ("OODLIB_BUILD", "OODLIB_PROJECT")}
    (ROOT / "_build").mkdir(exist_ok=True)
    os.environ |= {"OODLIB_BUILD": str(ROOT / "_build" / "test-build"), "OODLIB_PROJECT": str(ROOT)}
    try:
        with FileLock(ROOT / "_build" / "test-build.lock"):  # the tests run in several processes
            for name in notebooks.notebook_names():
                notebooks.execute(name, small=True)
            index, _ = site.build(small=True)
        yield index.parent.parent
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@pytest.fixture(scope="session")
def html(built: Path) -> Path:
    """The site; `OODLIB_TEST_SITE` names another one to look at, such as `_build/pocket/html`."""
    return Path(os.environ.get("OODLIB_TEST_SITE", built / "html")).resolve()


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
