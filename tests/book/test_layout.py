"""The checker of layouts finds what it is made to find, and nothing else."""

import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from oodlib.report.style import STYLE, WIDTH
from oodlib.report.svg import svg
from tests.book.layout import clipped, lettering, small_letters

WIDE, NARROW = 1280, 360
LINE = "x = " + "1 + " * 30 + "1"
PAGE = """<!doctype html><html><meta name="viewport" content="width=device-width"><style>body {{ margin: 16px; }}
pre {{ margin: 0; }} figure {{ margin: 0; }}
figure img {{ max-width: 100%; }}</style><body><main>{}</main></body></html>"""


def drawing(size: float) -> str:
    """A figure with letters of one size, in points."""
    with rc_context({**STYLE, "font.size": size, "axes.labelsize": size}):
        figure = Figure(figsize=(WIDTH, 2))
        figure.text(0.5, 0.5, "letters")
    return svg(figure)


@pytest.fixture
def opened(browser, tmp_path):
    """A function that opens a page with some content; files of a test's folder lie beside it."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context()

    def show(content: str, width: int):
        (tmp_path / "page.html").write_text(PAGE.format(content), encoding="utf-8")
        tab = context.new_page()
        tab.set_viewport_size({"width": width, "height": 700})
        tab.goto(f"http://127.0.0.1:{server.server_address[1]}/page.html")
        return tab

    yield show
    context.close()
    server.shutdown()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("content", "width", "many"),
    [
        ("<pre>short</pre><table><tr><td>cell</td></tr></table>", NARROW, 0),
        (f"<pre>{LINE}</pre>", NARROW, 1),  # sticks out of the page
        (f'<pre style="overflow-x: auto">{LINE}</pre>', NARROW, 0),  # scrolls
        (f'<div style="overflow: hidden; width: 200px"><pre>{LINE}</pre></div>', WIDE, 1),  # is cut
        (f'<pre style="white-space: pre-wrap">{LINE}</pre>', NARROW, 0),
        (f'<div class="cell_input"><pre style="overflow-x: auto; width: 300px">{LINE}</pre></div>', WIDE, 1),
        (f'<div class="cell_input"><pre style="overflow-x: auto; width: 300px">{LINE}</pre></div>', NARROW, 0),
        (f'<div style="overflow: hidden"><table><tr><td><code>{"x" * 99}</code></td></tr></table></div>', NARROW, 1),
        (f"<details><summary>code</summary><pre>{LINE}</pre></details>", NARROW, 1),  # once it is opened
        (f'<pre style="display: none">{LINE}</pre>', NARROW, 0),
    ],
)
def test_what_is_cut_off_is_found(opened, content, width, many):
    assert len(clipped(opened(content, width))) == many


@pytest.mark.browser
@pytest.mark.parametrize(
    ("content", "many"),
    [
        ('<p style="font-size: 9px">letters</p>', 0),
        ('<p style="font-size: 8px">letters</p>', 1),
        ('<p style="font-size: 8px; display: none">letters</p>', 0),
        ('<svg width="100" height="50" viewBox="0 0 100 50"><text y="20" font-size="10">letters</text></svg>', 0),
        ('<svg width="100" height="50" viewBox="0 0 200 100"><text y="20" font-size="10">letters</text></svg>', 1),
        ('<figure><img src="large.svg"></figure>', 0),
        ('<figure><img src="small.svg"></figure>', 1),
        ('<figure><img src="small.svg" width="600" style="max-width: none"></figure>', 0),
        ('<figure><img src="picture.png" width="90"></figure>', 1),
    ],
)
def test_letters_that_are_too_small_are_found(opened, tmp_path, content, many):
    for name, size in (("large", 8.5), ("small", 7)):
        (tmp_path / f"{name}.svg").write_text(drawing(size), encoding="utf-8")
    assert len(small_letters(opened(content, NARROW))) == many


def test_the_lettering_of_a_drawing_grows_with_its_width():
    assert lettering(drawing(9), WIDTH * 72) == pytest.approx(9)
    assert lettering(drawing(9), WIDTH * 144) == pytest.approx(18)
    assert lettering('<svg viewBox="0 0 10 10"></svg>', 100) == float("inf")
    assert lettering("no drawing", 100) == 0
