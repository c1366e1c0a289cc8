"""The built pages in Chromium: over HTTP and from disk, light and dark, wide and narrow, with and without a mouse."""

import io
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from tests.book.layout import clipped, small_letters

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TOC = (Path(__file__).parents[2] / "_toc.yml").read_text(encoding="utf-8")
PAGES = tuple(re.findall(r"(?:root|file): (\S+)", TOC))
MATH = ("book/frame", "notebooks/ole", "notebooks/zero_shot", "notebooks/conventions", "notebooks/results")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
# What the theme and the bibliography extension bring with them, whatever a page says.
KNOWN = {"label-content-name-mismatch", "region", "aria-required-children"}
# Console errors that a page may have: what is said, and why nothing can be done about it here.
ALLOWED: dict[str, str] = {}
# The explorer brings its pictures, the moving cut its scores and ROC curves of every set; other pages: 3 MB.
HEAVIEST = {"notebooks/embedding_spaces": 8_000_000, "notebooks/zero_shot": 3_500_000}


# Icons that the theme's script did not draw, or drew without an outline.
BLANK_ICONS = """() => [...document.querySelectorAll('i[class*="fa-"], svg.svg-inline--fa')]
    .filter(e => e.tagName === 'I' || !e.querySelector('path[d^="M"]') || /missing/.test(e.innerHTML))
    .map(e => e.outerHTML.slice(0, 120))"""


class Visit:
    """One page in one tab, with a list of what went wrong."""

    def __init__(self, browser, base: str, page: str, *, scheme: str = "light", width: int = 1200):
        self.base, self.problems, self.requests = base, [], []
        self.context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        self.tab = self.context.new_page()
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        self.tab.on("response", lambda reply: reply.ok or self.problems.append(f"{reply.status}: {reply.url}"))
        self.tab.on("console", self.hear)
        self.tab.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.tab.goto(f"{base}/{page}.html")
        self.tab.wait_for_load_state("load")
        self.tab.evaluate("() => window.MathJax?.startup?.promise")

    def hear(self, message) -> None:
        if message.type == "error" and not any(re.search(known, message.text) for known in ALLOWED):
            self.problems.append(f"console: {message.text}")

    def weight(self, site: Path) -> int:
        """Bytes of all files that the page asked for, as they lie there: a server may compress them."""
        paths = {site / unquote(urlsplit(url).path).lstrip("/") for url in self.requests if url.startswith(self.base)}
        return sum(path.stat().st_size for path in paths)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.fixture(params=["http", "file"])
def base(request, address, html) -> str:
    return address if request.param == "http" else html.as_uri()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_whole_and_from_here_only(browser, base, page, html):
    with Visit(browser, base, page) as visit:
        assert visit.problems == []
        away = [url for url in visit.requests if not url.startswith((base, "data:"))]
        assert away == []
        broken = "() => [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src)"
        assert visit.tab.evaluate(broken) == []
        assert visit.tab.locator("mjx-container").count() > 0 or page not in MATH
        assert visit.tab.locator("mjx-merror").count() == 0
        assert visit.tab.evaluate(BLANK_ICONS) == []
        if base.startswith("http"):
            assert 100_000 < visit.weight(html) < HEAVIEST.get(page, 3_000_000)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_shows_a_page_without_scrolling_sideways(browser, address, page, scheme):
    with Visit(browser, address, page, scheme=scheme, width=360) as visit:
        wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert visit.tab.evaluate(wide) <= 0
        # What is wider than the page scrolls in a box of its own.
        outside = """() => [...document.querySelectorAll('main table, main pre, main img, main mjx-container')]
            .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .filter(e => { for (let p = e; p; p = p.parentElement)
                if (['auto', 'scroll'].includes(getComputedStyle(p).overflowX)) return false; return true; })
            .map(e => e.outerHTML.slice(0, 80))"""
        assert visit.tab.evaluate(outside) == []
        assert clipped(visit.tab) == []
        assert small_letters(visit.tab) == []


@pytest.mark.parametrize("page", PAGES)
def test_a_wide_page_shows_all_of_its_code_and_tables(browser, address, page):
    with Visit(browser, address, page, width=1280) as visit:
        assert clipped(visit.tab) == []
        assert small_letters(visit.tab) == []


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("chosen", ["light", "dark"])
def test_figures_follow_the_scheme_of_the_page(browser, address, system, chosen):
    """It is the system's, until the reader chooses another."""
    with Visit(browser, address, "notebooks/zero_shot", scheme=system) as visit:
        assert visit.tab.evaluate("() => document.documentElement.dataset.theme") == system
        visit.tab.evaluate("chosen => { document.documentElement.dataset.theme = chosen; }", chosen)
        painted = visit.tab.locator("main figure img").first.screenshot()
        with Image.open(io.BytesIO(painted)) as picture:
            corner = picture.convert("L").getpixel((8, 8))
        assert corner > 240 if chosen == "light" else corner < 40


def test_a_page_is_printed_in_its_light_colours(browser, address):
    with Visit(browser, address, "notebooks/zero_shot", scheme="dark") as visit:
        theme = "document.documentElement.dataset.theme"
        visit.tab.evaluate(f"() => addEventListener('beforeprint', () => {{ window.printed = {theme}; }})")
        visit.tab.pdf()
        assert visit.tab.evaluate("() => window.printed") == "light"
        assert visit.tab.evaluate(f"() => {theme}") == "dark"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_is_no_worse_than_the_themes_own(browser, address, page, scheme):
    if not AXE.is_file():
        pytest.skip("axe-core is missing: run `npm ci` (make setup)")
    with Visit(browser, address, page, scheme=scheme) as visit:
        visit.tab.wait_for_timeout(500)  # the theme makes scrolling boxes reachable after loading
        visit.tab.add_script_tag(path=str(AXE))
        found = visit.tab.evaluate("() => axe.run({resultTypes: ['violations']})")["violations"]
        bad = {
            f"{problem['id']} ({problem['impact']}): {problem['nodes'][0]['html'][:120]}"
            for problem in found
            if problem["impact"] in ("critical", "serious") and problem["id"] not in KNOWN
        }
        assert bad == set()


def test_search_finds_what_is_on_a_page(browser, base):
    with Visit(browser, base, "search") as visit:
        visit.tab.goto(f"{base}/search.html?q=temperature")
        visit.tab.wait_for_selector("#search-results li a", timeout=15_000)
        titles = visit.tab.locator("#search-results li a").all_inner_texts()
        assert any("Zero-shot" in title for title in titles), titles


def test_the_fold_opens(browser, address):
    with Visit(browser, address, "notebooks/zero_shot") as visit:
        fold = visit.tab.locator(".how-made")
        inside = fold.locator("li").first
        assert not inside.is_visible()
        fold.locator("button, summary, .admonition-title").first.click()
        inside.wait_for(state="visible", timeout=5_000)


# What is focused, in words and as a number; and how an element looks that is, or no longer is.
FOCUSED = """() => { const e = document.activeElement; window.seen = window.seen || [];
    if (!window.seen.includes(e)) window.seen.push(e);
    const r = e.getBoundingClientRect();
    const name = (e.innerText || e.getAttribute('aria-label') || '').trim();
    return {index: window.seen.indexOf(e), tag: e.tagName, name: name,
            fold: !!e.closest('.how-made'), nav: !!e.closest('nav, .bd-sidebar'),
            shown: r.width > 0 && r.height > 0 && r.bottom > 0 && r.top < innerHeight}; }"""
LOOK = """k => { const look = e => { const s = getComputedStyle(e);
        return [s.outlineStyle, s.outlineWidth, s.outlineColor, s.boxShadow, s.backgroundColor, s.color,
            s.textDecorationLine, s.textDecorationThickness, s.borderColor].join(); };
    const e = window.seen[k]; return look(e) + (e.parentElement ? look(e.parentElement) : ''); }"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_can_be_read_with_the_keyboard(browser, address, scheme):
    """Tab comes to the skip link first, then to the navigation and at last to the fold; every stop can be seen."""
    with Visit(browser, address, "notebooks/zero_shot", scheme=scheme) as visit:
        tab = visit.tab
        tab.wait_for_timeout(500)  # the theme makes scrolling boxes reachable after loading
        tab.keyboard.press("Tab")
        assert "Skip to main content" in tab.evaluate(FOCUSED)["name"]
        tab.wait_for_timeout(500)  # it slides in
        stops, unseen = [], []
        for _ in range(400):
            stop = tab.evaluate(FOCUSED)
            if stops and stop["index"] == 0:
                break
            focused = tab.evaluate(LOOK, stop["index"])
            tab.keyboard.press("Tab")
            if not stop["shown"] or tab.evaluate(LOOK, stop["index"]) == focused:
                unseen.append(stop)
            stops.append(stop)
            if stop["fold"]:
                break
        assert any(stop["nav"] for stop in stops)
        assert any(stop["tag"] == "SUMMARY" for stop in stops), "folded code"
        assert stops[-1]["fold"], "the fold at the foot of the page"
        assert unseen == []


def test_the_skip_link_and_the_folds_work_without_a_mouse(browser, address):
    with Visit(browser, address, "notebooks/zero_shot") as visit:
        tab = visit.tab
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**#main-content")
        for opener, inside in (("details.hide summary", "details.hide pre"), (".how-made button", ".how-made li")):
            assert not tab.locator(inside).first.is_visible()
            tab.locator(opener).first.focus()
            tab.keyboard.press("Enter")
            tab.locator(inside).first.wait_for(state="visible", timeout=5_000)
