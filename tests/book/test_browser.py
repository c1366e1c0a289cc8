"""The built pages in Chromium: over HTTP and from disk, light and dark, wide and narrow, with and without a mouse."""

from pathlib import Path

import pytest

from oodlib import notebooks

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGES = ("book/index", "book/references", *(f"notebooks/{name}" for name in notebooks.notebook_names()))
MATH = ("book/index", "notebooks/zero_shot", "notebooks/conventions", "notebooks/results")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
# What the theme and the bibliography extension bring with them, whatever a page says.
KNOWN = {"label-content-name-mismatch", "region", "aria-required-children"}


class Visit:
    """One page in one tab, with a list of what went wrong."""

    def __init__(self, browser, base: str, page: str, *, scheme: str = "light", width: int = 1200):
        self.base, self.problems, self.requests = base, [], []
        self.context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
        self.tab = self.context.new_page()
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("requestfailed", lambda request: self.problems.append(f"failed: {request.url}"))
        self.tab.on("response", lambda reply: reply.ok or self.problems.append(f"{reply.status}: {reply.url}"))
        self.tab.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.tab.goto(f"{base}/{page}.html")
        self.tab.wait_for_load_state("load")
        self.tab.evaluate("() => window.MathJax?.startup?.promise")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.fixture(params=["http", "file"])
def base(request, address, html) -> str:
    return address if request.param == "http" else html.as_uri()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_whole_and_from_here_only(browser, base, page):
    with Visit(browser, base, page) as visit:
        assert visit.problems == []
        away = [url for url in visit.requests if not url.startswith((base, "data:"))]
        assert away == []
        broken = "() => [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.src)"
        assert visit.tab.evaluate(broken) == []
        assert visit.tab.locator("mjx-container").count() > 0 or page not in MATH
        assert visit.tab.locator("mjx-merror").count() == 0


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_readers_scheme_and_figures_stay_readable(browser, address, scheme):
    with Visit(browser, address, "notebooks/zero_shot", scheme=scheme) as visit:
        assert visit.tab.evaluate("() => document.documentElement.dataset.theme") == scheme
        # Mean brightness of the corner of a figure as painted: figures bring their own light ground.
        brightness = visit.tab.evaluate(
            """() => { const i = document.querySelector('main figure img');
                const c = document.createElement('canvas'); c.width = c.height = 8;
                const x = c.getContext('2d'); x.drawImage(i, 0, 0, 8, 8, 0, 0, 8, 8);
                const d = x.getImageData(0, 0, 8, 8).data; return [d[0], d[3]]; }"""
        )
        assert brightness[0] > 240
        assert brightness[1] == 255


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
