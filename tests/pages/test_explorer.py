"""The interactive map in Chromium: by pointer and by keyboard, from disk and over HTTP, in both modes, on a phone."""

import itertools
import json

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PAGE = "notebooks/embedding_spaces.html"
RANGES = "() => { const l = document.querySelector('.explorer-plot').layout; return [l.xaxis.range, l.yaxis.range]; }"
INKS = "() => document.querySelector('.explorer-plot').data.map(t => [t.name, t.marker.color, t.marker.symbol])"


@pytest.fixture(scope="module")
def told(html):
    """What the map's own file says."""
    script = (html / "_static" / "explorer" / "points.js").read_text(encoding="utf-8")
    return json.loads(script[script.index("{") : script.rindex("}") + 1])


@pytest.fixture(params=["http", "file"])
def base(request, address, html) -> str:
    return address if request.param == "http" else html.as_uri()


@pytest.fixture
def visit(browser):
    """A function that opens the page and waits for the map; what goes wrong on it fails the test."""
    contexts, wrong = [], []

    def heard(message) -> None:
        asked = message.location["url"].endswith("/favicon.ico")  # by the browser, once, of any server
        if message.type in ("error", "warning") and not asked:
            wrong.append(f"console: {message.text}")

    def open_page(base: str, *, scheme: str = "light", width: int = 1200, **options):
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("request", lambda r: r.url.startswith((base, "data:")) or wrong.append(f"another host: {r.url}"))
        tab.on("requestfailed", lambda r: wrong.append(f"failed: {r.url}"))
        tab.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        tab.on("console", heard)
        tab.goto(f"{base}/{PAGE}")
        tab.wait_for_selector(".explorer[data-ready]", timeout=30_000)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def hover(tab, told, i: int) -> None:
    """Move the pointer over the point `i`."""
    place = tab.evaluate(
        """([x, y]) => { const plot = document.querySelector('.explorer-plot'), box = plot.getBoundingClientRect();
            const [xs, ys] = [plot.layout.xaxis.range, plot.layout.yaxis.range];
            return [box.left + box.width * (x - xs[0]) / (xs[1] - xs[0]),
                    box.bottom - box.height * (y - ys[0]) / (ys[1] - ys[0])]; }""",
        [told["x"][i], told["y"][i]],
    )
    tab.mouse.move(place[0] - 3, place[1])
    tab.mouse.move(*place)


def alone(told) -> int:
    """The picture that is farthest from every other point, so that a pointer can only mean this one."""
    points = list(zip(told["x"], told["y"], strict=True))
    room = {
        i: min((x - u) ** 2 + (y - v) ** 2 for j, (u, v) in enumerate(points) if j != i)
        for i, (x, y) in enumerate(points)
        if told["picture"][i] >= 0
    }
    return max(room, key=room.get)


def words_of(told, i: int) -> list[str]:
    return [told["near"]["words"][j] for rows in told["near"]["lists"].values() for j, _ in rows[i]]


def test_the_map_stands_at_the_top_of_its_page_under_the_finding(html):
    text = (html / PAGE).read_text(encoding="utf-8")
    text = text[text.index("The finding.") :]  # before it, the theme repeats the title and the contents for print
    places = [text.index(part) for part in ('id="fig-embedding-map"', 'class="explorer"', "<h2>")]
    assert places == sorted(places)


def test_every_point_is_drawn(visit, base, told):
    tab = visit(base)
    assert tab.locator(".explorer-plot .scatterlayer .point").count() == len(told["x"]) > 100
    assert tab.locator(".explorer-key button").count() == len(told["set"]["names"])


def test_the_pointer_shows_picture_name_score_and_nearest_words(visit, base, told):
    tab = visit(base)
    tab.locator(".explorer-map").scroll_into_view_if_needed()
    i = alone(told)
    hover(tab, told, i)
    card = tab.locator(".explorer-card")
    card.locator(".explorer-picture").wait_for(timeout=5_000)
    assert card.locator(".explorer-name").inner_text() == told["name"][i]
    shown = card.inner_text()
    assert told["set"]["names"][told["set"]["of"][i]] in shown
    assert told["hand"]["names"][told["hand"]["of"][i]] in shown
    first = next(iter(told["scores"]))
    assert f"{first} score: " in shown
    assert ("taken as in-distribution" in shown) == (told["scores"][first]["of"][i] >= told["scores"][first]["cut"])
    assert words_of(told, i)
    assert all(word in shown for word in words_of(told, i))
    style = card.locator(".explorer-picture").evaluate("e => [e.style.backgroundImage, e.style.backgroundPosition]")
    column, row = told["picture"][i] % told["columns"], told["picture"][i] // told["columns"]
    assert "pictures.webp" in style[0]
    assert [float(part.removesuffix("px")) for part in style[1].split()] == [-72 * column, -72 * row]
    sheet = "() => new Promise(r => { const i = new Image(); i.onload = () => r([i.naturalWidth, i.naturalHeight]);"
    sheet += " i.src = '../_static/explorer/pictures.webp'; })"
    assert tab.evaluate(sheet) == [told["cell"] * told["columns"], told["cell"] * told["rows"]]


def test_the_map_moves_and_zooms(visit, address):
    tab = visit(address)
    plot = tab.locator(".explorer-map")
    plot.scroll_into_view_if_needed()
    whole = tab.evaluate(RANGES)
    tab.locator(".explorer-buttons button").first.click()
    (left, right), _ = tab.evaluate(RANGES)
    assert right - left < 0.7 * (whole[0][1] - whole[0][0])
    box = plot.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 60, y, steps=5)
    tab.mouse.up()
    tab.wait_for_function(f"() => ({RANGES})()[0][0] < {left}")
    before = tab.evaluate(RANGES)[0]
    tab.mouse.wheel(0, -300)
    tab.wait_for_function(
        f"() => {{ const [a, b] = ({RANGES})()[0]; return b - a < {0.95 * (before[1] - before[0])}; }}"
    )
    tab.get_by_role("button", name="Whole map").click()
    tab.wait_for_function(
        f"() => JSON.stringify(({RANGES})()) === {json.dumps(json.dumps(whole, separators=(',', ':')))}"
    )


def test_the_wheel_scrolls_the_page_until_the_map_is_clicked(visit, address):
    tab = visit(address)
    tab.locator(".explorer-map").scroll_into_view_if_needed()
    whole, scrolled = tab.evaluate(RANGES), tab.evaluate("scrollY")
    box = tab.locator(".explorer-map").bounding_box()
    tab.mouse.move(box["x"] + 100, box["y"] + 100)
    tab.mouse.wheel(0, -200)
    tab.wait_for_function(f"() => scrollY < {scrolled}")
    assert tab.evaluate(RANGES) == whole


def test_colour_follows_the_choice(visit, address, told):
    tab = visit(address)
    by_set = tab.evaluate(INKS)
    assert [name for name, *_ in by_set] == told["set"]["names"]
    pairs = [(str(ink), symbol) for _, ink, symbol in by_set]
    assert len(set(pairs)) == len(pairs), "no two sets look alike"
    tab.select_option(".explorer-colour", "hand")
    hands = {name for name, *_ in tab.evaluate(INKS)}
    assert hands >= {name for name in told["hand"]["names"] if name}
    tab.select_option(".explorer-colour", "score")
    one = next(found for found in tab.evaluate(INKS) if found[0] == "pictures")[1]
    other = list(told["scores"])[-1]
    tab.select_option(".explorer-score", other)
    two = next(found for found in tab.evaluate(INKS) if found[0] == "pictures")[1]
    assert one != two
    values = [value for value in told["scores"][other]["of"] if value is not None]
    assert [ink for _, ink in sorted(zip(values, two, strict=True))] == sorted(two), "higher scores are further along"
    assert (min(two), max(two)) == (0, 1)


def test_the_key_hides_and_shows(visit, address, told):
    tab = visit(address)
    points = tab.locator(".explorer-plot .scatterlayer .point")
    button = tab.locator(".explorer-key button").first
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    tab.wait_for_function(
        f"() => document.querySelectorAll('.explorer-plot .scatterlayer .point').length < {len(told['x'])}"
    )
    assert points.count() == len(told["x"]) - told["set"]["of"].count(0)
    button.click()
    tab.wait_for_function(
        f"() => document.querySelectorAll('.explorer-plot .scatterlayer .point').length === {len(told['x'])}"
    )


def test_the_keyboard_reaches_points_and_says_them(visit, base, told):
    tab = visit(base)
    tab.locator(".explorer-buttons button").last.focus()
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => document.activeElement.className") == "explorer-map"
    assert tab.locator(".explorer-map").evaluate("e => getComputedStyle(e).outlineStyle") == "solid", "focus is visible"
    said, heard = tab.locator(".explorer-said"), []
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        tab.keyboard.press(key)
        heard.append(said.inner_text())
    assert said.get_attribute("role") == "status"
    assert all(after != before for before, after in itertools.pairwise(heard))
    assert tab.locator(".explorer-name").inner_text() in heard[-1]
    assert heard[-1].split(". ")[0] in told["name"]
    assert tab.evaluate("() => document.querySelector('.explorer-plot').layout.shapes.length") == 1, (
        "the point is marked"
    )
    whole = tab.evaluate(RANGES)
    tab.keyboard.press("+")
    assert tab.evaluate(RANGES)[0][0] > whole[0][0]
    tab.keyboard.press("0")
    tab.keyboard.press("Escape")
    assert tab.evaluate(RANGES) == whole
    assert tab.locator(".explorer-name").count() == 0
    assert tab.evaluate("() => document.querySelector('.explorer-plot').layout.shapes.length") == 0


def test_a_name_is_found(visit, address, told):
    tab = visit(address)
    wanted = told["name"][told["picture"].index(5)]
    tab.locator(".explorer-find").fill(wanted.upper())
    tab.keyboard.press("Enter")
    assert wanted in tab.locator(".explorer-name").inner_text()
    tab.locator(".explorer-find").fill("no such thing at all")
    tab.keyboard.press("Enter")
    missed = "No point that is shown is called no such thing at all."
    assert tab.locator(".explorer-said").inner_text() == missed
    assert tab.locator(".explorer-card").inner_text() == missed, "for those who see, too"
    assert tab.locator(".explorer-card").bounding_box()["height"] > 10


def test_both_modes_and_the_switch_between_them(visit, address):
    light, dark = visit(address), visit(address, scheme="dark")
    assert light.evaluate(INKS) != dark.evaluate(INKS)
    inks = light.evaluate(INKS)
    light.evaluate("() => { document.documentElement.dataset.theme = 'dark'; }")
    light.wait_for_function(
        f"() => JSON.stringify(({INKS})()) !== {json.dumps(json.dumps(inks, separators=(',', ':')))}"
    )
    assert light.evaluate(INKS) == dark.evaluate(INKS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_shows_it_without_scrolling_sideways_and_a_tap_chooses(visit, address, scheme, told):
    tab = visit(address, scheme=scheme, width=360, has_touch=True, is_mobile=True)
    assert tab.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    plot = tab.locator(".explorer-map")
    assert plot.evaluate("e => e.getBoundingClientRect().right") <= 360
    plot.scroll_into_view_if_needed()
    i = alone(told)
    x = [told["x"][i], told["y"][i]]
    place = tab.evaluate(
        """([x, y]) => { const plot = document.querySelector('.explorer-plot'), box = plot.getBoundingClientRect();
            const [xs, ys] = [plot.layout.xaxis.range, plot.layout.yaxis.range];
            return [box.left + box.width * (x - xs[0]) / (xs[1] - xs[0]),
                    box.bottom - box.height * (y - ys[0]) / (ys[1] - ys[0])]; }""",
        x,
    )
    tab.touchscreen.tap(*place)
    tab.locator(".explorer-name").wait_for(timeout=5_000)
    assert tab.locator(".explorer-name").inner_text() == told["name"][i]
    # The card is in view, even where the foot of the screen is that of the map.
    plot.evaluate("e => scrollBy(0, e.getBoundingClientRect().bottom - innerHeight)")
    tab.wait_for_function(
        "() => Math.abs(document.querySelector('.explorer-map').getBoundingClientRect().bottom - innerHeight) < 2"
    )
    for part in (".explorer-card", ".explorer-name"):
        box = tab.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 901
    assert tab.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_without_scripts_the_figure_stands_in(browser, address):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{address}/{PAGE}")
    assert tab.locator("#fig-embedding-map img").is_visible()
    said = tab.locator("noscript p", has_text="The interactive map needs JavaScript")
    assert said.is_visible()
    assert not tab.locator(".explorer-map").is_visible()
    context.close()


def test_the_page_is_not_too_heavy_and_no_other_page_loads_plotly(html):
    static = html / "_static"
    loaded = [static / "plotly" / "plotly-basic.min.js", static / "explorer" / "points.js"]
    assert sum(path.stat().st_size for path in [*loaded, static / "explorer" / "pictures.webp"]) < 4_000_000
    others = [page for page in html.rglob("*.html") if page.name != "embedding_spaces.html"]
    assert [page.name for page in others if "plotly" in page.read_text(encoding="utf-8")] == []
