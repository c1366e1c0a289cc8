"""The moving cut in Chromium: it counts what `oodlib.evaluation` counts, by pointer and by keyboard, over any scores.

Most of it needs no book: a page of its own, opened from disk, with made-up scores.
"""

import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from oodlib.datasets.base import Manifest
from oodlib.evaluation import ood_metrics
from oodlib.report.moving_cut import cut_block, write_cut

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STATIC = Path(__file__).parents[2] / "book" / "_static"
ALT = "Histograms of made-up scores, for readers without scripts"
SIZES = {"animals": 90, "things": 81, "siblings": 7, "one": 1}
KINDS = {"things": "far", "siblings": "near", "one": "far"}
BAD = '<img src=x onerror="document.title=1">'
PAGES = {"book/index": "zero_shot", "notebooks/zero_shot": "zero_shot", "notebooks/ole": "ole"}


def scores_of(rng, spread: float, digits: int) -> dict[str, np.ndarray]:
    """One detector's scores of every set, float32, with ties where there are few digits."""
    means = {"animals": 1.0, "things": -1.0, "siblings": 0.5, "one": 3.0}
    return {
        name: rng.normal(means[name], 1, n).round(digits).astype(np.float32) * np.float32(spread)
        for name, n in SIZES.items()
    }


@pytest.fixture(scope="module")
def scores() -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    found = {"smooth": scores_of(rng, 1e-3, 6), "ties": scores_of(rng, 40, 0)}
    return found | {"alike": {name: np.full(n, 0.25, np.float32) for name, n in SIZES.items()}}


@pytest.fixture(scope="module")
def page(scores, tmp_path_factory) -> str:
    """A page on disk with the cut alone."""
    site = tmp_path_factory.mktemp("cut")
    for folder in ("pages", "_static/cut", "_images"):
        (site / folder).mkdir(parents=True)
    Image.new("RGB", (80, 40), "teal").save(site / "_images" / "still.png")
    square = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"><rect width="80" height="40"/></svg>'
    (site / "_images" / "still.svg").write_text(square, encoding="utf-8")
    sets = {}
    for name, n in SIZES.items():
        labels = [f"{name} {k} {BAD}" for k in range(n)]
        rows = {"id": labels, "uri": "still.png", "label": labels, "split": "test", "sha256": "x"}
        sets[name] = Manifest(name, site / "_images", pd.DataFrame(rows))
    rows = [
        pd.DataFrame(
            {"id_set": "animals", "set": part, "detector": detector, "id": sets[part].table["id"], "score": of}
        )
        for detector, by_set in scores.items()
        for part, of in by_set.items()
    ]
    write_cut(site / "_static" / "cut" / "made.js", pd.concat(rows), sets, "animals", KINDS, list(scores))
    for name in ("rates.js", "cut.js", "cut.css"):
        shutil.copy(STATIC / name, site / "_static")
    block = cut_block("made", still="still", alt=ALT).removeprefix("```{raw} html").removesuffix("```")
    theme = "<style>:root { --pst-color-primary: teal }</style>"  # of the book's colours, the one that shows the focus
    text = f"<!doctype html><html lang=en><meta charset=utf-8><title>Cut</title>{theme}<main>{block}</main></html>"
    (site / "pages" / "cut.html").write_text(text, encoding="utf-8")
    return (site / "pages" / "cut.html").as_uri()


@pytest.fixture
def visit(browser):
    """A function that opens a page and waits for the cut; what goes wrong on it fails the test."""
    contexts, wrong = [], []

    def open_page(address: str, *, width: int = 1200, scheme: str = "light", **options):
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        tab = context.new_page()
        here = address.split("/pages/")[0] if "/pages/" in address else re.sub("/(book|notebooks)/.*", "", address)
        tab.on("request", lambda r: r.url.startswith((here, "data:")) or wrong.append(f"another host: {r.url}"))
        tab.on("requestfailed", lambda r: wrong.append(f"failed: {r.url}"))
        tab.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        tab.goto(address)
        tab.wait_for_selector(".cut[data-ready]", timeout=15_000)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def counts(tab) -> dict[str, float]:
    """The four shares of the table, from the whole numbers that stand there."""
    found = {}
    for name in ("kept", "accepted", "caught", "rejected"):
        said = tab.locator(f".cut-{name}").inner_text()
        shown, k, n = re.search(r"([\d.]+)\s%.*\((\d+) of (\d+)\)", said).groups()
        assert shown == f"{100 * int(k) / int(n):.1f}"
        found[name] = int(k) / int(n)
    return found


def offered(tab, select: str) -> list[str]:
    return tab.locator(f".cut-{select} option").all_inner_texts()


def test_the_page_counts_what_the_library_counts(visit, page, scores):
    """At both cuts of 95 %, for scores with ties, for a set of one picture, and where all scores are one."""
    tab = visit(page)
    assert offered(tab, "detector") == list(scores)
    assert [label.split()[0] for label in offered(tab, "set")] == list(KINDS)
    for detector, by_set in scores.items():
        tab.select_option(".cut-detector", label=detector)
        for part in KINDS:
            tab.select_option(".cut-set", index=list(KINDS).index(part))
            metrics = ood_metrics(by_set["animals"], by_set[part])
            tab.locator("button[value=keep]").click()
            found = counts(tab)
            assert found["kept"] >= 0.95
            assert found["accepted"] == pytest.approx(metrics["fpr95"], abs=1e-9), (detector, part)
            tab.locator("button[value=catch]").click()
            found = counts(tab)
            assert found["caught"] >= 0.95
            assert found["rejected"] == pytest.approx(metrics["fpr95_ood"], abs=1e-9), (detector, part)


def test_the_slider_moves_the_cut_over_all_scores(visit, page, scores):
    tab = visit(page)
    slider, by_set = tab.locator(".cut-slider"), scores["smooth"]
    every = np.concatenate(list(by_set.values())).astype(float)
    room = 0.02 * (every.max() - every.min())
    low, high = every.min() - room, every.max() + room
    for value in (0, 1, 137, 500, 777, 999, 1000):
        slider.fill(str(value))
        cut = low + (high - low) * value / 1000
        inside, outside = by_set["animals"] >= cut, by_set["things"] >= cut
        expected = {"kept": inside.mean(), "rejected": 1 - inside.mean()}
        expected |= {"accepted": outside.mean(), "caught": 1 - outside.mean()}
        assert counts(tab) == pytest.approx(expected, abs=1e-9), value
        assert float(tab.locator(".cut-value").inner_text().removeprefix("cut ")) == pytest.approx(cut, rel=1e-3)
        x = float(tab.locator(".cut-line").get_attribute("x1"))
        assert x == pytest.approx(value / 10, abs=0.05)
        at = [float(tab.locator(".cut-point").get_attribute(side)) for side in ("cx", "cy")]
        assert at == pytest.approx([100 * outside.mean(), 100 * (1 - inside.mean())])


def test_the_curve_and_the_histogram_are_those_of_the_scores(visit, page, scores):
    tab = visit(page)
    for detector in ("smooth", "ties"):
        tab.select_option(".cut-detector", label=detector)
        corners = [
            tuple(map(float, pair.split(","))) for pair in tab.locator(".cut-roc-line").get_attribute("points").split()
        ]
        assert corners[0] == (0, 100)
        assert corners[-1] == (100, 0)
        area = sum((x - u) * (200 - y - v) / 2 for (u, v), (x, y) in itertools.pairwise(corners)) / 1e4
        by_set = scores[detector]
        assert area == pytest.approx(ood_metrics(by_set["animals"], by_set["things"])["auroc"], abs=1e-9)
        heights = [float(y) for y in re.findall(r",([\d.]+)H", tab.locator(".cut-area").get_attribute("d"))]
        tops = [float(y) for y in re.findall(r",([\d.]+)H", tab.locator(".cut-outline").get_attribute("d"))]
        assert len(heights) == len(tops) == 40
        assert sum(100 - y for y in heights) == pytest.approx(sum(100 - y for y in tops)), "each set has one area"
        assert min(*heights, *tops) == pytest.approx(4), "the highest bar fills its place"


def test_pictures_change_sides_as_the_cut_moves(visit, page, scores):
    tab = visit(page)
    by_set = scores["smooth"]

    def beside(side: str) -> list[tuple[str, float, str]]:
        found = []
        for item in tab.locator(f".cut-{side} li").all():
            name, said = item.locator("span").all_inner_texts()
            part, k = name.split()[:2]
            found.append((part, float(by_set[part][int(k)]), said))
        return found

    tab.locator("button[value=catch]").click()
    seen = set()
    for value in (300, 500, 700):
        tab.locator(".cut-slider").fill(str(value))
        cut = float(tab.locator(".cut-value").inner_text().removeprefix("cut "))
        under, over = beside("below"), beside("above")
        assert len(under) == len(over) == 6
        assert [score for _, score, _ in under + over] == sorted(score for _, score, _ in under + over)
        assert under[-1][1] < cut + 1e-6
        assert over[0][1] > cut - 1e-6
        for side, found in (("below", under), ("above", over)):
            for part, _, said in found:
                right = (part == "animals") == (side == "above")
                assert said == f"{'ID' if part == 'animals' else 'OOD'}, {'right' if right else 'wrong'}"
        seen.add(tuple(under))
    assert len(seen) == 3, "other pictures stand at another cut"
    assert {part for part, *_ in under + over} <= {"animals", "things"}
    tab.select_option(".cut-set", index=1)
    tab.locator(".cut-slider").fill("500")
    assert "siblings" in {part for part, *_ in beside("below") + beside("above")}
    tab.locator(".cut-slider").fill("1000")
    assert beside("above") == []


def test_what_changed_sides_is_said(visit, page, scores):
    tab = visit(page)
    said = tab.locator(".cut-moved")
    assert said.get_attribute("role") == "status"
    tab.locator("button[value=keep]").click()
    before = counts(tab)
    tab.locator("button[value=catch]").click()
    after = counts(tab)
    n, m = SIZES["animals"], SIZES["things"]
    ins, outs = (round(k * abs(after[name] - before[name])) for k, name in ((n, "kept"), (m, "accepted")))
    now = "rejected" if after["kept"] < before["kept"] else "accepted"
    assert said.inner_text() == f"Changed sides, now {now}: {ins} ID and {outs} OOD pictures."
    tab.locator("button[value=catch]").click()
    assert said.inner_text() == "No picture has changed sides."


def test_the_keyboard_moves_the_cut_and_a_screen_reader_hears_it(visit, page):
    tab = visit(page)
    tab.locator(".cut-detector").focus()
    stops = []
    for _ in range(5):
        stops.append(tab.evaluate("() => document.activeElement.className || document.activeElement.value"))
        assert tab.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid", (
            "focus is visible"
        )
        tab.keyboard.press("Tab")
    assert stops == ["cut-detector", "cut-set", "keep", "catch", "cut-slider"]
    slider = tab.get_by_role("slider", name="Cut")
    slider.focus()
    before, heard = counts(tab), slider.get_attribute("aria-valuetext")
    for _ in range(40):
        tab.keyboard.press("ArrowRight")
    assert counts(tab)["kept"] < before["kept"]
    assert slider.get_attribute("aria-valuetext") != heard
    assert re.fullmatch(
        r"cut -?[\d.e-]+: [\d.]+\s% of ID kept, [\d.]+\s% of OOD accepted", slider.get_attribute("aria-valuetext")
    )
    tab.keyboard.press("Home")
    assert counts(tab) == {"kept": 1, "accepted": 1, "caught": 0, "rejected": 0}
    tab.keyboard.press("End")
    assert counts(tab) == {"kept": 0, "accepted": 0, "caught": 1, "rejected": 1}
    for picture in tab.locator(".cut svg").all():
        assert len(picture.get_attribute("aria-label")) > 20


def test_a_name_is_never_html(visit, page):
    tab = visit(page)
    assert BAD in tab.locator(".cut-below li").first.inner_text()
    assert tab.locator(".cut img").count() == 0
    assert tab.title() == "Cut"


def test_the_figure_stands_in_where_there_is_no_script_or_no_scores(browser, visit, page):
    tab = visit(page)
    assert not tab.locator(".cut-still").is_visible()
    tab.emulate_media(media="print")
    assert tab.locator(".cut-still").is_visible(), "on paper nothing moves"
    assert not tab.locator(".cut").is_visible()
    for options, lost in (({"java_script_enabled": False}, ""), ({}, "**/made.js")):
        context = browser.new_context(**options)
        alone = context.new_page()
        if lost:
            alone.route(lost, lambda route: route.abort())
        alone.goto(page)
        assert alone.get_by_alt_text(ALT).is_visible()
        assert not alone.locator(".cut").is_visible()
        context.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("origin", ["http", "file"])
def test_the_book_has_it_where_the_kept_scores_are(visit, address, html, name, origin):
    base = address if origin == "http" else html.as_uri()
    tab = visit(f"{base}/{name}.html")
    tab.locator("button[value=keep]").click()
    assert counts(tab)["kept"] >= 0.95
    for index in range(len(offered(tab, "set"))):
        tab.select_option(".cut-set", index=index)
    for picture in (*tab.locator(".cut-below li").all(), *tab.locator(".cut-above li").all()):
        assert picture.inner_text().strip()
    sheet = (
        "name => new Promise(r => { const i = new Image(); i.onload = () => r(i.naturalWidth); i.onerror = () => r(0);"
    )
    sheet += " i.src = `../_static/cut/${name}.webp`; })"
    assert tab.evaluate(sheet, PAGES[name]) > 0
    loaded = [path for path in (html / "_static" / "cut").iterdir() if path.stem == PAGES[name]]
    assert sum(path.stat().st_size for path in loaded) < 500_000


@pytest.mark.parametrize("name", PAGES)
def test_the_numbers_on_the_page_are_those_of_its_table(visit, address, built, name):
    """Of every detector and OOD set, at the cut that keeps 95 % of ID and at the one that catches 95 % of OOD."""
    kept = {"zero_shot": "zero_shot.parquet", "ole": "ole_pictures.parquet"}[PAGES[name]]
    frame = pd.read_parquet(built / "scores" / kept)
    id_set = frame["id_set"].iloc[0]
    own = frame[frame["id_set"] == id_set]
    of = {key: part["score"].to_numpy() for key, part in own.groupby(["detector", "set"])}
    tab = visit(f"{address}/{name}.html")
    assert set(offered(tab, "detector")) == set(own["detector"])
    for detector in offered(tab, "detector"):
        tab.select_option(".cut-detector", label=detector)
        for index, label in enumerate(offered(tab, "set")):
            tab.select_option(".cut-set", index=index)
            metrics = ood_metrics(of[detector, id_set], of[detector, label.split()[0]])
            tab.locator("button[value=keep]").click()
            assert counts(tab)["accepted"] == pytest.approx(metrics["fpr95"], abs=1e-9)
            tab.locator("button[value=catch]").click()
            assert counts(tab)["rejected"] == pytest.approx(metrics["fpr95_ood"], abs=1e-9)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768])
def test_it_fits_a_telephone_in_both_modes(visit, address, scheme, width):
    tab = visit(f"{address}/notebooks/zero_shot.html", scheme=scheme, width=width)
    right = "() => [...document.querySelectorAll('.cut *')].map(e => e.getBoundingClientRect().right)"
    assert max(tab.evaluate(right)) <= width
    small = (
        "() => Math.min(...[...document.querySelectorAll('.cut *')].map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert tab.evaluate(small) >= 9
