"""The page on which readers try the detector, in Chromium: names, pictures, cut and cards around an engine.

It needs no book and no model: the page alone, served under a sub-path, with an engine that knows colours only
(`colour_engine.js`), so that every decision can be told beforehand. `test_try_it_detector.py` has the real one.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from oodlib.evaluation import ood_metrics
from tests.pages.try_it import (
    ROOT,
    cards,
    choose,
    counts,
    enter,
    lay_out,
    let_go,
    names,
    notes,
    serving,
    settled,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
BAD = "<img src=x onerror=document.title=1>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A server's folder with the page, and the engine of colours."""
    folder = tmp_path_factory.mktemp("site")
    tryit = lay_out(folder)
    shutil.copy(Path(__file__).parent / "colour_engine.js", tryit / "engine.js")
    (tryit / "drawings").mkdir(exist_ok=True)
    for colour in ("red", "yellow", "black"):
        Image.new("RGB", (64, 64), colour).save(tryit / "drawings" / f"{colour}.png")
    drawings = [{"src": f"drawings/{colour}.png", "name": f"{colour} square"} for colour in ("red", "yellow", "black")]
    manifest = {"bytes": 12_500_000, "drawings": drawings}
    (tryit / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site(folder) -> Path:
    return folder / "sub path" / "v1"


@pytest.fixture(scope="module")
def served(folder) -> Iterator[str]:
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Files of many kinds."""
    folder = tmp_path_factory.mktemp("pictures")
    for colour in ("red", "green", "orange", "black", "blue"):
        Image.new("RGB", (40, 30), colour).save(folder / f"{colour}.png")
    Image.new("CMYK", (40, 30), (0, 255, 255, 0)).save(folder / "printed.jpg")
    turned = Image.new("RGB", (60, 20), "white")
    turned.paste("red", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # shot with the camera on its side: what is left lies on top
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    whole = (folder / "turned.jpg").read_bytes()
    (folder / "cut off.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "cut off.png").write_bytes((folder / "red.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("no picture at all", encoding="utf-8")
    (folder / "empty.png").write_bytes(b"")
    Image.new("1", (12_000, 12_000)).save(folder / "huge.png")
    Image.new("I;16", (40, 30), 65_535).save(folder / "deep.png")
    clear = Image.new("RGBA", (40, 30), (0, 0, 255, 0))
    clear.save(folder / "clear.png")
    (folder / f"{BAD.replace('/', '')}.png").write_bytes((folder / "red.png").read_bytes())
    return folder


def test_the_button_names_the_size_and_little_is_loaded_before_it(visit, site):
    asked = []
    tab = visit(load=False)
    tab.on("request", lambda request: asked.append(request.url))
    tab.reload()
    button = tab.locator(".tryit-start:enabled")
    assert button.inner_text() == "Load the detector (12.5\u00a0MB)"
    assert not tab.locator(".tryit-body").is_visible(), "no control that does nothing yet"
    assert not tab.locator(".tryit-still").is_visible()
    assert tab.get_by_alt_text("yellow square").is_visible(), "what is ready is shown"
    assert "Nothing leaves this machine" in tab.locator(".tryit-load").inner_text()
    files = [site / url.split("/v1/")[1].split("?")[0] for url in asked if "/v1/" in url]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    assert len(files) >= 8


def test_loading_shows_how_far_it_is_and_then_decides_two_drawings(visit):
    tab = visit(load=False, engine={"hold": "load"})
    tab.locator(".tryit-start:enabled").click()
    tab.wait_for_function("() => document.querySelector('.tryit-loaded').textContent.startsWith('6.3')")
    assert tab.locator(".tryit-loaded").inner_text() == "6.3\u00a0MB of 12.5\u00a0MB"
    assert tab.locator(".tryit-progress").get_attribute("value") == "0.5"
    assert tab.locator(".tryit-start").is_disabled()
    let_go(tab)
    settled(tab, 2)
    assert {title: state for title, (state, _) in cards(tab).items()} == {"red square": "in", "black square": "out"}
    assert not tab.locator(".tryit-start").is_visible()
    focused = tab.evaluate("() => document.activeElement.textContent")
    assert focused == "red square", "the keyboard goes on where the button was"


def test_too_little_memory_is_said_and_one_can_try_again(visit):
    tab = visit(load=False, engine={"failLoad": True})
    tab.locator(".tryit-start:enabled").click()
    trouble = tab.get_by_role("alert")
    trouble.filter(has_text="too little memory").wait_for()
    assert trouble.inner_text().startswith("The detector has not started. The browser has too little memory")
    let_go(tab)
    tab.locator(".tryit-start:enabled").click()
    settled(tab, 2)
    assert trouble.inner_text() == ""


def test_a_card_says_what_was_decided_and_why(visit, pictures):
    tab = visit()
    tab.select_option(".tryit-detector", label="OLE")
    choose(tab, pictures / "orange.png", pictures / "red.png")
    found = cards(tab)
    assert list(found)[:2] == ["orange.png", "red.png"], "the newest first, in their order"
    state, text = found["orange.png"]
    assert state == "out"
    assert "“orange” pulled it out" in text
    assert re.search(r"Out: score \u22120\.\d{3} as log-odds, OLE 0\.\d{3}; below the cut 0\.250\.", text), text
    state, text = found["red.png"]
    assert state == "in"
    assert "“red” fits best, and well enough." in text
    card = tab.locator(".tryit-card").nth(1)
    assert card.locator("ol").first.locator("li").all_inner_texts()[0].split() == ["red", "100", "%"]
    assert card.locator("ol").count() == 2
    assert card.locator("ol").nth(1).locator("li span:first-child").all_inner_texts()[0] == "orange"
    tab.select_option(".tryit-detector", label="MSP")
    assert cards(tab)["black square"][0] == "out"
    assert "but not well enough" in cards(tab)["black square"][1]
    assert "Nearest words, not used (cosine)" in cards(tab)["black square"][1]


def test_names_are_typed_pasted_and_removed_and_every_card_follows(visit, pictures):
    tab = visit()
    choose(tab, pictures / "black.png")
    tab.locator("button[value='0']").click()
    notes(tab, "“red” removed.")
    assert names(tab) == ["green", "blue"]
    assert cards(tab)["red square"][0] == "out"
    assert tab.evaluate("() => document.activeElement.getAttribute('aria-label')") == "Remove green"
    enter(tab, "red")
    notes(tab, "1 name added.")
    assert cards(tab)["red square"][0] == "in"
    enter(tab, " yellow,  white\ngreen , \n")
    notes(tab, "2 names added.")
    assert names(tab) == ["green", "blue", "red", "yellow", "white"]
    enter(tab, "Red")
    notes(tab, "“Red” is there already.")
    enter(tab, " , ")
    notes(tab, "There is no name in that: type one.")
    tab.get_by_role("button", name="Names of the book").click()
    notes(tab, "The names of the book.")
    assert names(tab) == ["red", "green", "blue"]
    tab.get_by_role("button", name="Remove all names").click()
    notes(tab, "There are no names: add one.")
    assert {state for state, _ in cards(tab).values()} == {"wait"}
    assert "There are no names: add one." in cards(tab)["black.png"][1]
    assert not tab.locator(".tryit-slider").is_visible()
    enter(tab, "red")
    notes(tab, "1 name added.")
    assert tab.locator(".tryit-many").inner_text() == "1 name"
    assert cards(tab)["red square"][0] == "in"
    assert tab.locator(".tryit-slider").is_visible()


def test_five_hundred_names_and_no_more(visit):
    tab = visit()
    enter(tab, "\n".join(f"thing {k}" for k in range(510)))
    notes(tab, "497 names added. At most 500 names fit: 13 names left out.")
    assert len(names(tab)) == 500
    assert tab.locator(".tryit-many").inner_text() == "500 names"
    assert tab.locator(".tryit-names").evaluate("e => e.clientHeight") < 200, "a long list scrolls"
    enter(tab, "one more")
    notes(tab, "At most 500 names fit: 1 name left out.")
    assert tab.get_by_label("Type a name").input_value() == "one more", "what was not taken stays"


def test_a_name_in_another_script_is_noted_and_a_name_is_never_html(visit, pictures):
    tab = visit()
    enter(tab, "тигр, yellow")
    notes(tab, "2 names added. Not known: тигр.")
    assert names(tab) == ["red", "green", "blue", "yellow"], "what cannot be used does not stay"
    enter(tab, BAD)
    tab.wait_for_function("() => document.querySelectorAll('.tryit-names li').length === 5")
    tab.get_by_role("button", name="Remove all names").click()
    notes(tab, "There are no names: add one.")
    enter(tab, "тигр")
    notes(tab, "Not known: тигр. The list is as it was before.")
    tab.get_by_role("button", name="Names of the book").click()
    enter(tab, BAD)
    tab.wait_for_function("() => document.querySelectorAll('.tryit-names li').length === 4")
    enter(tab, "虎")
    notes(tab, "1 name added. Not known: 虎.")
    choose(tab, *pictures.glob("<img*"))
    assert BAD in names(tab)
    assert BAD in tab.locator(".tryit-card").first.locator("ol").first.inner_text()
    assert next(iter(cards(tab))).startswith("<img src=x")
    assert tab.locator(".tryit-names img, .tryit-card img").count() == 0
    assert tab.title() == "Try it"


def test_names_whose_model_cannot_be_loaded_are_taken_back(visit):
    tab = visit(engine={"failNames": True})
    enter(tab, "tiger")
    notes(tab, "A file could not be loaded: the connection is gone. Try again. The list is as it was before.")
    assert names(tab) == ["red", "green", "blue"]
    assert cards(tab)["red square"][0] == "in"


def test_names_that_come_while_others_are_loaded_are_not_lost(visit):
    tab = visit(engine={"hold": "names"})
    enter(tab, "tiger")
    tab.wait_for_function("() => /0.5.MB of 1.0.MB/.test(document.querySelector('.tryit-notes').textContent)")
    enter(tab, "yellow")
    tab.locator("button[value='0']").click()
    assert names(tab) == ["green", "blue", "tiger", "yellow"]
    assert cards(tab)["red square"][0] == "in", "the cards are still those of the old names"
    let_go(tab)
    tab.wait_for_function("() => /^Out/.test(document.querySelectorAll('.tryit-verdict')[0].textContent)")
    assert names(tab) == ["green", "blue", "tiger", "yellow"]


def test_what_cannot_be_read_is_said_on_its_card_and_the_others_go_on(visit, pictures):
    tab = visit()
    bad = ("notes.txt", "cut off.jpg", "cut off.png", "empty.png", "huge.png", "printed.jpg")
    choose(tab, *(pictures / name for name in (*bad, "red.png")))
    found = cards(tab)
    assert found["red.png"][0] == "in"
    expected = {
        "notes.txt": "cannot be read: it is damaged, or no picture",
        "cut off.jpg": "is damaged, its end is missing",
        "cut off.png": "cannot be read: it is damaged, or no picture",
        "empty.png": "is empty",
        "huge.png": "has 12,000 × 12,000 pixels, more than 100 million: scale it down.",
        "printed.jpg": "is in CMYK, the colours of printers: save it in RGB.",
    }
    for name, words in expected.items():
        state, text = found[name]
        assert state == "bad", name
        assert f"{name} {words}" in text


def test_a_picture_is_turned_as_it_was_shot_and_laid_on_white(visit, pictures):
    tab = visit()
    choose(tab, *(pictures / name for name in ("turned.jpg", "deep.png", "clear.png")))
    at = """([k, x, y]) => [...document.querySelectorAll('.tryit-card canvas')[k].getContext('2d')
        .getImageData(x, y, 1, 1).data]"""
    red, white = tab.evaluate(at, [0, 48, 8]), tab.evaluate(at, [0, 48, 88])
    assert red[0] > 200, red
    assert red[1] < 60, red
    assert min(white) > 240, white
    for k in (1, 2):
        assert tab.evaluate(at, [k, 48, 48]) == [255, 255, 255, 255]


def test_twenty_pictures_wait_in_a_row_and_others_come_meanwhile(visit, pictures, tmp_path):
    twenty = [tmp_path / f"{k}.png" for k in range(20)]
    for k, path in enumerate(twenty):
        shutil.copy(pictures / ("red.png" if k % 2 else "black.png"), path)
    tab = visit()
    tab.evaluate("() => { window.engineTest = {hold: 'decide'}; }")
    tab.locator(".tryit-files").set_input_files([str(path) for path in twenty])
    assert tab.locator(".tryit-status").inner_text() == "20 pictures to read."
    tab.get_by_role("button", name="yellow square").click()
    tab.get_by_role("button", name="Remove 19.png").click()
    assert tab.locator(".tryit-status").inner_text() == "19.png removed, 22 pictures left."
    let_go(tab)
    settled(tab, 22)
    found = cards(tab)
    assert {found[f"{k}.png"][0] for k in range(1, 19, 2)} == {"in"}
    assert {found[f"{k}.png"][0] for k in range(0, 19, 2)} == {"out"}
    assert "19.png" not in found
    assert tab.locator(".tryit-status").inner_text() == f"yellow square: {found['yellow square'][0]}."
    assert tab.locator(".tryit-histogram .tryit-mark").count() == 22
    tab.get_by_role("button", name="Remove all pictures").click()
    assert tab.locator(".tryit-card").count() == 0
    assert tab.locator(".tryit-status").inner_text() == "All pictures removed."
    assert tab.locator(".tryit-histogram .tryit-mark").count() == 0


def test_pictures_are_dropped_and_one_that_misses_the_box_too(visit, pictures):
    tab = visit()
    drop = """([where, name, bytes]) => { const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(bytes)], name, {type: 'image/png'}));
        for (const type of ['dragover', 'drop'])
            document.querySelector(where).dispatchEvent(
                new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true})); }"""
    for k, where in enumerate((".tryit-drop", ".tryit-cards")):
        tab.evaluate(drop, [where, f"dropped {k}.png", list((pictures / "red.png").read_bytes())])
        settled(tab, 3 + k)
    assert cards(tab)["dropped 1.png"][0] == "in"
    assert tab.locator(".tryit-over").count() == 0


def test_the_cut_counts_what_the_library_counts_and_moves_every_decision(visit):
    tab = visit()
    inside, outside = [0.5 + k / 80 for k in range(40)], [k / 25 for k in range(20)]
    metrics = ood_metrics(inside, outside)
    tab.get_by_role("button", name="Keep 95 % of ID").click()
    assert counts(tab)["accepted"] == pytest.approx(metrics["fpr95"])
    tab.get_by_role("button", name="Catch 95 % of OOD").click()
    assert counts(tab)["rejected"] == pytest.approx(metrics["fpr95_ood"])
    slider = tab.get_by_role("slider", name="Cut")
    slider.focus()
    tab.keyboard.press("Home")
    assert counts(tab) == {"kept": 1, "accepted": 1, "caught": 0, "rejected": 0}
    assert {state for state, _ in cards(tab).values()} == {"in"}
    tab.keyboard.press("End")
    assert counts(tab) == {"kept": 0, "accepted": 0, "caught": 1, "rejected": 1}
    heard = slider.get_attribute("aria-valuetext")
    rates = r"cut [\d.]+: 0.0\s% of ID kept, 0.0\s% of OOD accepted, 0 of 2 of your pictures in"
    assert re.fullmatch(rates, heard), heard
    tab.select_option(".tryit-detector", label="OLE")
    assert counts(tab)["kept"] == 1, "each detector has its own cut"
    tab.select_option(".tryit-detector", label="MSP")
    assert counts(tab)["kept"] == 0, "and keeps it"
    enter(tab, "yellow")
    notes(tab, "1 name added.")
    assert tab.locator(".tryit-value").inner_text() == "cut 0.750", "other names, the first cut again"


def test_names_without_drawings_in_the_book_have_nothing_to_be_counted_on(visit):
    tab = visit()
    tab.get_by_role("button", name="Remove all names").click()
    enter(tab, "tiger, leopard")
    notes(tab, "2 names added.")
    assert tab.locator(".tryit-kept").inner_text() == "–"
    assert tab.get_by_role("button", name="Keep 95 % of ID").is_disabled()
    assert "has none of your names" in tab.locator(".tryit-compared").inner_text()
    assert counts_of(tab, "accepted") == 20


def counts_of(tab, name: str) -> int:
    return int(re.search(r"of (\d+)\)", tab.locator(f".tryit-{name}").inner_text()).group(1))


def test_all_of_it_works_by_keyboard_with_a_focus_that_can_be_seen(visit):
    tab = visit()
    tab.locator("#tryit-name").focus()
    stops = []
    for _ in range(60):
        look = """() => { const e = document.activeElement, s = getComputedStyle(e);
            const name = e.getAttribute('aria-label') || e.className || e.id || e.textContent;
            return [e === document.body ? '' : name, s.outlineStyle, s.outlineWidth]; }"""
        name, style, width = tab.evaluate(look)
        if name == "":
            break
        assert (style, width) == ("solid", "3px"), name
        stops.append(name)
        tab.keyboard.press("Tab")
    wanted = ["tryit-name", "Add", "Remove red", "tryit-defaults", "tryit-none", "red square", "tryit-files"]
    wanted += ["tryit-detector", "Cut", "tryit-keep", "tryit-catch", "tryit-clear", "Remove red square"]
    places = [stops.index(name) for name in wanted if name in stops]
    assert [name for name in wanted if name not in stops] == []
    assert places == sorted(places), stops
    tab.get_by_role("button", name="yellow square").focus()
    tab.keyboard.press("Enter")
    settled(tab, 3)
    assert tab.locator(".tryit-status").get_attribute("role") == "status"
    assert tab.locator(".tryit-status").inner_text().startswith("yellow square: ")


def test_two_tabs_do_not_disturb_each_other(visit, browser, pictures):
    context = browser.new_context()
    one, two = visit(context=context), visit(context=context)
    enter(one, "yellow")
    notes(one, "1 name added.")
    choose(two, pictures / "black.png")
    assert names(two) == ["red", "green", "blue"]
    assert one.locator(".tryit-card").count() == 2


def test_it_works_without_a_connection_once_it_is_loaded(visit, pictures):
    tab = visit()
    tab.context.set_offline(True)
    choose(tab, pictures / "red.png")
    enter(tab, "yellow")
    notes(tab, "1 name added.")
    tab.select_option(".tryit-detector", label="OLE")
    assert cards(tab)["red.png"][0] == "in"


def test_what_is_missing_is_said_and_the_figure_stands_in(browser, served, site):
    said = ".tryit-missing"
    for options, script, words in (
        ({"java_script_enabled": False}, "", "needs a browser with JavaScript and WebAssembly"),
        ({}, "delete globalThis.WebAssembly", "has no WebAssembly"),
        ({}, "delete globalThis.createImageBitmap", "too old"),
    ):
        context = browser.new_context(**options)
        tab = context.new_page()
        if script:
            tab.add_init_script(script)
        tab.goto(served)
        assert words in tab.locator(said).inner_text()
        assert tab.get_by_alt_text("Twenty-three drawings").is_visible()
        assert not tab.locator(".tryit").is_visible()
        context.close()
    context = browser.new_context()
    tab, wrong = context.new_page(), []
    tab.on("console", lambda message: wrong.append(message.text))
    tab.goto((site / "book" / "try_it.html").as_uri())
    assert "python -m http.server" in tab.locator(said).inner_text()
    assert tab.get_by_alt_text("Twenty-three drawings").is_visible()
    assert wrong == [], "nothing is asked for that a browser forbids"
    tab.goto(served)
    tab.route("**/manifest.json", lambda route: route.abort())
    tab.reload()
    tab.get_by_text("could not be loaded: load the page again").wait_for()
    assert tab.get_by_alt_text("Twenty-three drawings").is_visible()
    context.close()


@pytest.mark.parametrize("width", [360, 1200])
def test_axe_finds_nothing_and_nothing_sticks_out(visit, pictures, width):
    if not AXE.is_file():
        pytest.skip("axe-core is missing: run `npm ci` (make setup)")
    tab = visit(load=False, width=width)
    tab.locator(".tryit-start:enabled").wait_for()
    tab.add_script_tag(path=str(AXE))
    check = "() => axe.run().then(r => r.violations.map(v => `${v.id}: ${v.nodes[0].html}`))"
    assert tab.evaluate(check) == []
    tab.locator(".tryit-start").click()
    settled(tab, 2)
    enter(tab, "\n".join(["an uncommonly long name of a thing " * 3, "x" * 120, *(f"thing {k}" for k in range(40))]))
    choose(tab, pictures / "notes.txt", pictures / "red.png")
    tab.select_option(".tryit-detector", label="OLE")
    assert tab.evaluate(check) == []
    right = "() => Math.max(...[...document.querySelectorAll('.tryit *')].map(e => e.getBoundingClientRect().right))"
    assert tab.evaluate(right) <= width
    sizes = "() => [...document.querySelectorAll('.tryit *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert min(tab.evaluate(sizes)) >= 9
