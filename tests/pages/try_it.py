"""The page on which readers try the detector, laid out alone in a folder, served, opened, and read by tests."""

import functools
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book" / "_static"
PAGE = """<!doctype html><html lang=en data-theme=light><head><meta charset=utf-8><title>Try it</title>
<link rel=icon href="data:,">
<meta name="viewport" content="width=device-width"><style>
:root {{ --pst-color-primary: #04664f; --pst-color-text-base: #222; --pst-color-text-muted: #555; }}
:root {{ --pst-color-background: #fff; --pst-color-border: #bbb; }} body {{ font-family: sans-serif; }}
</style></head><body><main><h1>Try it</h1>{}</main></body></html>"""


def lay_out(folder: Path) -> Path:
    """The page alone, in a site below a folder; the place for what an engine loads."""
    site = folder / "sub path" / "v1"
    (site / "book").mkdir(parents=True)
    chapter = (ROOT / "book" / "try_it.md").read_text(encoding="utf-8")
    block = re.search(r"```\{raw\} html\n(.*?)\n```", chapter, flags=re.DOTALL)
    assert block
    (site / "book" / "try_it.html").write_text(PAGE.format(block.group(1)), encoding="utf-8")
    shutil.copytree(STATIC / "tryit", site / "_static" / "tryit")
    shutil.copytree(ROOT / "book" / "_root", site, dirs_exist_ok=True)
    for name in ("rates.js", "detect.png"):
        shutil.copy(STATIC / name, site / "_static")
    return site / "_static" / "tryit"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of the page of `lay_out`, two folders below that of the server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/sub%20path/v1/book/try_it.html"
    server.shutdown()
    server.server_close()  # else who asks now waits


class Visits:
    """Tabs with the page, and what went wrong in them; nothing may be asked of another host."""

    def __init__(self, browser: Any, address: str):
        self.browser, self.address = browser, address
        self.contexts: list[Any] = []
        self.wrong: list[str] = []
        self.asked: list[str] = []

    def __call__(
        self, *, load: bool = True, engine: dict[str, Any] | None = None, width: int = 1200, context: Any = None
    ) -> Any:
        """Open the page and, with `load`, wait until the detector runs and has decided two drawings."""
        context = context or self.browser.new_context(viewport={"width": width, "height": 900})
        self.contexts.append(context)
        tab = context.new_page()
        here = self.address.split("/sub")[0]
        tab.on("request", lambda r: self.asked.append(r.url))
        tab.on("request", lambda r: r.url.startswith((here, "blob:", "data:")) or self.wrong.append(r.url))
        tab.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        tab.on("console", lambda message: message.type == "error" and self.wrong.append(message.text))
        tab.add_init_script(f"window.engineTest = {json.dumps(engine or {})}")
        tab.goto(self.address)
        if load:
            tab.locator(".tryit-start:enabled").click()
            tab.wait_for_selector(".tryit[data-ready]", timeout=60_000)
            settled(tab, 2)
        return tab

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def settled(tab: Any, n: int) -> None:
    """Wait until there are so many cards and all say something."""
    tab.wait_for_function(
        """n => { const cards = [...document.querySelectorAll('.tryit-card')];
        return cards.length === n && cards.every(card => card.dataset.state !== 'wait'); }""",
        arg=n,
        timeout=30_000,
    )


def let_go(tab: Any) -> None:
    """What the engine of colours held up goes on."""
    tab.evaluate("() => { window.engineTest = {}; }")


def choose(tab: Any, *paths: Path) -> None:
    """Choose pictures, and wait for their cards."""
    before = tab.locator(".tryit-card").count()
    tab.locator(".tryit-files").set_input_files([str(path) for path in paths])
    settled(tab, before + len(paths))


def cards(tab: Any) -> dict[str, tuple[str, str]]:
    """Of every card its title, its state and all of its words."""
    found = {}
    for card in tab.locator(".tryit-card").all():
        found[card.locator("h3").inner_text()] = (card.get_attribute("data-state"), card.inner_text())
    return found


def names(tab: Any) -> list[str]:
    """The names in the list."""
    found: list[str] = tab.locator(".tryit-names li span").all_inner_texts()
    return found


def enter(tab: Any, text: str) -> None:
    """Type names, or paste them."""
    tab.get_by_label("Type a name").fill(text)
    tab.keyboard.press("Enter")


def notes(tab: Any, expected: str) -> None:
    """Wait for what the list of names says, all of it."""
    said = "text => document.querySelector('.tryit-notes').textContent === text"
    try:
        tab.wait_for_function(said, arg=expected, timeout=20_000)
    except Exception:
        assert tab.locator(".tryit-notes").inner_text() == expected


def counts(tab: Any) -> dict[str, float]:
    """The four shares, from the whole numbers that stand there."""
    found = {}
    for name in ("kept", "accepted", "caught", "rejected"):
        said = tab.locator(f".tryit-{name}").inner_text()
        told = re.search(r"([\d.]+)\s% \((\d+) of (\d+)\)", said)
        assert told, said
        k, n = int(told.group(2)), int(told.group(3))
        assert abs(float(told.group(1)) - 100 * k / n) <= 0.0501, said
        found[name] = k / n
    return found
