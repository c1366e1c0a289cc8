"""The page *Try it* with the detector itself, in Chromium: PocketCLIP, its words, and real drawings."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from oodlib.arrays import as_numpy
from oodlib.datasets.images import read_image
from oodlib.detectors import get_detector
from oodlib.experiments.experiment import Experiment
from oodlib.experiments.profiles import load_profile
from oodlib.report.try_it import LABELS, Contents, contents, pack, page_concepts, page_detectors, unpack
from oodlib.report.try_it_files import RUNTIME, write_try_it
from tests.pages.try_it import ROOT, Visits, cards, choose, counts, enter, lay_out, names, notes, serving, settled

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PACKAGES = ROOT / "node_modules"
# One name more than the book's, which are many: where OLE may differ is said, too.
MANY = 2 * get_detector("ole").get_params()["each"]
ONE_MORE = f"1 name added. With {MANY} names or more, not the book's, OLE near the cut may differ from the library."
SCORE = r"score (\S+?)(?: as log-odds|;)"


@pytest.fixture(scope="module")
def lab() -> Experiment:
    if not (PACKAGES / RUNTIME[0]).is_file():
        pytest.skip("@tensorflow/tfjs-backend-wasm is missing: run `npm ci` (make setup)")
    return Experiment.of(load_profile("pocket", small=True))


@pytest.fixture(scope="module")
def known(lab) -> Contents:
    """What the page knows, its features in eight bits as the page has them."""
    whole = contents(lab)
    return replace(whole, **unpack(*pack(whole.blocks())))


@pytest.fixture(scope="module")
def folder(lab, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_try_it(lay_out(folder), lab, PACKAGES)
    return folder


@pytest.fixture(scope="module")
def served(folder) -> Iterator[str]:
    with serving(folder) as address:
        yield address


def applied(tab) -> None:
    """Wait until the engine has taken the names."""
    tab.wait_for_selector('.tryit-names[aria-busy="false"]', timeout=120_000)


def score(card: tuple[str, str]) -> float:
    return float(re.search(SCORE, card[1]).group(1).replace("\N{MINUS SIGN}", "-"))


def loaded(visit: Visits, part: str) -> bool:
    return any(part in url for url in visit.asked)


def test_the_pages_scores_are_the_librarys(visit, drawings, known, lab):
    """Of every detector, told names of the vocabulary; cards show three digits."""
    told = ["tiger", "banana", "horse"]
    features = as_numpy(lab.encoder.encode_images([read_image(path) for path in drawings.values()]))
    expected = {
        key: detector.fit(page_concepts(known, told)[key]).score_samples(features)
        for key, detector in page_detectors(told, known.names).items()
    }
    tab = visit()
    tab.get_by_role("button", name="Remove all names").click()
    enter(tab, ", ".join(told))
    notes(tab, "3 names added.")
    choose(tab, *drawings.values())
    for key, scores in expected.items():
        tab.select_option(".tryit-detector", value=key)
        found = cards(tab)
        ours = [score(found[path.name]) for path in drawings.values()]
        assert ours == pytest.approx(np.asarray(scores).tolist(), rel=0.01, abs=0.02), key
        for path in drawings.values():
            assert found[path.name][0] in ("in", "out")
    assert not loaded(visit, "text.onnx"), "words of the vocabulary need no text tower"


def test_the_first_cut_keeps_most_of_the_books_drawings(visit, known):
    tab = visit()
    assert names(tab) == list(known.names)
    for key in LABELS:
        tab.select_option(".tryit-detector", value=key)
        assert 0.95 <= counts(tab)["kept"] < 0.97
        assert counts(tab)["accepted"] < 0.9
    n = sum(kind == "in" for kind in known.kinds)
    assert f"ID {n} drawings of your names" in tab.locator(".tryit-compared").inner_text()


def test_a_word_that_pulls_a_picture_out_is_named(visit, drawings):
    tab = visit()
    tab.get_by_role("button", name="Remove all names").click()
    enter(tab, "tiger, banana, pineapple")
    notes(tab, "3 names added.")
    choose(tab, drawings["bicycle"], drawings["tiger"])
    tab.select_option(".tryit-detector", value="neg_label")
    found = cards(tab)
    state, text = found[drawings["bicycle"].name]
    assert state == "out"
    word = re.search(r"“(.+)” pulled it out", text).group(1)
    out = tab.locator(".tryit-card").filter(has_text=drawings["bicycle"].name).first
    assert out.locator("ol").nth(1).locator("li span").first.inner_text() == word
    tiger = tab.locator(".tryit-card").filter(has_text=drawings["tiger"].name).first
    assert tiger.locator("ol li span").first.inner_text() == "tiger"
    assert score(found[drawings["tiger"].name]) > score(found[drawings["bicycle"].name])


def test_other_names_load_the_text_tower_once_and_another_script_is_noted(visit):
    tab = visit()
    many = len(names(tab))
    enter(tab, "a snorkelling axolotl")
    applied(tab)
    notes(tab, ONE_MORE)
    assert loaded(visit, "text.onnx")
    assert len(names(tab)) == many + 1
    times = len([url for url in visit.asked if "text.onnx" in url])
    enter(tab, "a snorkelling wombat")
    applied(tab)
    notes(tab, ONE_MORE)
    assert len([url for url in visit.asked if "text.onnx" in url]) == times
    enter(tab, "虎")
    tab.wait_for_function("() => /knows nothing of “虎”/.test(document.querySelector('.tryit-notes').textContent)")
    assert "虎" not in names(tab)


def test_five_hundred_names_that_were_pasted(visit):
    tab = visit()
    tab.get_by_role("button", name="Remove all names").click()
    enter(tab, "\n".join(f"the {k}th thing" for k in range(500)))
    tab.wait_for_function("() => /^500 names added\\./.test(document.querySelector('.tryit-notes').textContent)")
    tab.wait_for_function(
        "() => /no drawings of these names/.test(document.querySelector('.tryit-notes').textContent)", timeout=120_000
    )
    assert len(names(tab)) > 400
    assert {state for state, _ in cards(tab).values()} <= {"in", "out"}


def test_twenty_pictures_and_damaged_ones_between(visit, drawings, tmp_path):
    paths = []
    for k in range(20):
        paths.append(tmp_path / f"{k}.png")
        whole = list(drawings.values())[k % 6].read_bytes()
        paths[-1].write_bytes(whole[: len(whole) // 2] if k % 10 == 9 else whole)
    tab = visit()
    choose(tab, *paths)
    found = cards(tab)
    for k, path in enumerate(paths):
        assert (found[path.name][0] == "bad") == (k % 10 == 9), found[path.name]
    assert found["0.png"][1].replace("0.png", "") == found["6.png"][1].replace("6.png", ""), "one picture, one decision"


def test_what_was_loaded_is_kept_and_two_tabs_share_it(visit, browser, drawings):
    context = browser.new_context()
    one = visit(context=context)
    assert loaded(visit, "image.bin")
    visit.asked.clear()
    two = visit(context=context)
    assert not loaded(visit, "image.bin"), "it comes from the browser's own store"
    assert not loaded(visit, ".wasm.packed")
    enter(one, "zebra crossing")
    notes(one, ONE_MORE)
    choose(two, drawings["tiger"])
    assert "zebra crossing" not in names(two)


def test_without_a_connection_it_goes_on_and_says_what_it_lacks(visit, drawings):
    tab = visit()
    tab.context.set_offline(True)
    choose(tab, drawings["tiger"])
    enter(tab, "rocket")
    applied(tab)
    before = names(tab)
    enter(tab, "a snorkelling axolotl")
    tab.wait_for_function("() => /as it was before/.test(document.querySelector('.tryit-notes').textContent)")
    assert "cannot be loaded: check the connection and try again." in tab.locator(".tryit-notes").inner_text()
    assert names(tab) == before
    visit.wrong.clear()  # the browser itself reports the request that failed
    tab.context.set_offline(False)
    enter(tab, "a snorkelling axolotl")
    applied(tab)
    notes(tab, ONE_MORE)


def test_a_click_loads_no_more_than_it_says(visit, folder):
    visit.asked.clear()
    tab = visit(load=False)
    tab.locator(".tryit-start:enabled").wait_for()
    said = float(re.search(r"([\d.]+)\sMB", tab.locator(".tryit-start").inner_text()).group(1))
    assert not loaded(visit, "/model/")
    assert not loaded(visit, "/vendor/")
    before = {url.split("?")[0] for url in visit.asked}
    tab.locator(".tryit-start").click()
    settled(tab, 2)
    after = {url.split("?")[0] for url in visit.asked} - before
    files = [folder / url.split("/", 3)[3].replace("%20", " ") for url in after if url.startswith("http")]
    assert sum(path.stat().st_size for path in files if path.suffix != ".png") / 1e6 == pytest.approx(said, abs=0.1)
    assert said < 24.05


def test_it_opens_again_without_a_connection(folder, browser):
    with serving(folder) as address:
        visits = Visits(browser, address)
        tab = visits()
        enter(tab, "a bowl of noodle soup")  # its words are not in the page's list: the text tower is loaded, too
        applied(tab)
        found = cards(tab)
        last = "async () => Boolean(await caches.match(new URL('../_static/tryit/vendor/ort.wasm.min.mjs', location)))"
        tab.wait_for_function(last, timeout=30_000)
    tab.reload()
    tab.locator(".tryit-start:enabled").click()
    tab.wait_for_selector(".tryit[data-ready]", timeout=60_000)
    settled(tab, 2)
    enter(tab, "a bowl of noodle soup")
    applied(tab)
    assert cards(tab) == found
    visits.close()


def test_a_connection_is_asked_before_what_was_kept(folder, browser, tmp_path):
    site = tmp_path / "site"
    shutil.copytree(folder, site)
    with serving(site) as address:
        visits = Visits(browser, address)
        tab = visits()
        kept = "async () => Boolean(await caches.match(new URL('../_static/tryit/tryit.css', location)))"
        tab.wait_for_function(kept, timeout=30_000)
        page = site / "sub path" / "v1" / "book" / "try_it.html"
        page.write_text(page.read_text(encoding="utf-8").replace("<h1>Try it", "<h1>Try it anew"), encoding="utf-8")
        tab.reload()
        assert tab.get_by_role("heading", level=1).inner_text() == "Try it anew"
        visits.close()
    assert visits.wrong == []
