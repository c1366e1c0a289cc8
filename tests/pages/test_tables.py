"""The script of the tables in Chromium: on a page of made-up tables, and on the page of all results."""

import csv
import io
import re
from pathlib import Path

import pytest

from oodlib import provenance

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STATIC = Path(__file__).parents[2] / "book" / "_static"
NBSP = "\N{NO-BREAK SPACE}"
LONG = [  # set, detector, AUROC, seconds; an empty set is the one above
    *[("far (far, 30)" if k == 0 else "", f"d{k}", f"{90 + k}.5{NBSP}[80.0,{NBSP}99.0]", f"{k},000") for k in range(6)],
    *[("near (near, 9)" if k == 0 else "", f"e{k}", f"{9 - k}.5{NBSP}[-1.0,{NBSP}20.0]", "") for k in range(6)],
]
SHORT = [("b | c", "10 s", "–"), ('say "x", y', "2 min", "−3"), ("a", "1 h", "12"), ("d", "5 s", "7")]
SHOWN = """k => [...document.querySelectorAll(`#${k} tbody tr`)].filter(row => row.offsetHeight)
    .map(row => [...row.cells].map(cell => cell.innerText.trim()))"""


def shown(tab, table: str, column: int = 1) -> list[str]:
    """A column of the rows of a table that one can see."""
    return [cells[column] for cells in tab.evaluate(SHOWN, f"tab-{table}")]


def written(name: str, heads: list[str], rows: list[tuple[str, ...]]) -> str:
    """A table as the book has it."""
    head = "".join(f'<th class="head"><p>{text}</p></th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{f'<p>{c}</p>' * bool(c)}</td>" for c in row) + "</tr>" for row in rows)
    caption = f'<caption><span class="caption-number">Table {name} </span>About {name}.</caption>'
    table = f'<table class="table" id="tab-{name}">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="pst-scrollable-table-container" style="width: 300px; overflow-x: auto">{table}</div>'


@pytest.fixture
def page(tmp_path) -> str:
    tables = written("long", ["OOD set", "detector", "AUROC", "ms"], LONG)
    tables += written("short", ["method", "took", "gain"], SHORT)
    links = "".join(f'<link rel="stylesheet" href="{(STATIC / name).as_uri()}">' for name in ("book.css", "tables.css"))
    script = f'<script defer src="{(STATIC / "tables.js").as_uri()}"></script>'
    body = f'<article><div class="table-filter"></div>{tables}<textarea></textarea></article>'
    text = f'<!doctype html><meta charset=utf-8><title>Tables</title>{links}{script}<main class="bd-main">{body}</main>'
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    return (tmp_path / "page.html").as_uri()


@pytest.fixture
def opened(browser):
    """A function that opens a page; an error of a script on it fails the test."""
    contexts, wrong = [], []

    def open_page(address: str, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(address)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def test_the_first_group_is_shown_and_then_the_whole(opened, page):
    tab = opened(page)
    assert shown(tab, "long") == [f"d{k}" for k in range(6)], "five, and what ends the group"
    button = tab.get_by_role("button", name="All 12 rows")
    assert button.get_attribute("aria-expanded") == "false"
    button.focus()
    tab.keyboard.press("Enter")
    assert len(shown(tab, "long")) == 12
    assert tab.get_by_role("button", name="First 6 rows").get_attribute("aria-expanded") == "true"
    assert len(shown(tab, "short")) == 4
    assert tab.locator(".table-bar button:visible").count() == 5, "a short table has nothing to open"


def test_every_row_of_a_long_table_names_its_set(opened, page):
    tab = opened(page)
    tab.get_by_role("button", name="All 12 rows").click()
    names = shown(tab, "long", 0)
    assert names == ["far (far, 30)"] * 6 + ["near (near, 9)"] * 6
    assert tab.locator(".table-again").count() == 10


def test_without_the_script_and_on_paper_the_whole_stands_there(opened, page):
    assert len(shown(opened(page, java_script_enabled=False), "long")) == 12
    tab = opened(page)
    tab.emulate_media(media="print")
    assert len(shown(tab, "long")) == 12
    assert not tab.locator(".table-bar").first.is_visible()


def test_a_column_is_sorted_by_its_numbers_and_back_again(opened, page):
    tab = opened(page)
    tab.get_by_role("button", name="All 12 rows").click()
    head = tab.locator("#tab-long th").nth(2)
    order = {"descending": [], "ascending": [], None: []}
    for said in order:
        head.get_by_role("button").focus()
        tab.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == said
        order[said] = shown(tab, "long")
    assert order["descending"] == [f"d{k}" for k in range(5, -1, -1)] + [f"e{k}" for k in range(6)]
    assert order["ascending"] == order["descending"][::-1], "9.5 is less than 95.5"
    assert order[None] == [row[1] for row in LONG]


def test_what_has_no_number_is_last_and_thousands_count(opened, page):
    tab = opened(page)
    tab.get_by_role("button", name="ms").click()
    assert shown(tab, "long")[0] == "d5", "the largest first, on the rows that are shown too"
    tab.get_by_role("button", name="ms").click()
    tab.get_by_role("button", name="All 12 rows").click()
    assert shown(tab, "long")[:7] == [*(f"d{k}" for k in range(6)), "e0"]
    tab.get_by_role("button", name="gain").click()
    tab.get_by_role("button", name="gain").click()
    assert shown(tab, "short", 2) == ["−3", "7", "12", "–"]


def test_a_column_of_several_units_and_one_of_a_single_value_are_not_sorted(opened, page):
    tab = opened(page)
    assert tab.locator("#tab-short th").nth(1).get_by_role("button").count() == 0, "5 s are not more than 2 min"
    tab.get_by_role("button", name="method").click()
    assert shown(tab, "short", 0)[:2] == ["a", "b | c"]


@pytest.mark.parametrize("clipboard", [True, False], ids=["clipboard", "without"])
def test_copies_can_be_pasted(browser, page, clipboard):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"] if clipboard else [])
    if not clipboard:
        context.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tab = context.new_page()
    tab.goto(page)
    pasted = {}
    for place, kind in ((0, "CSV"), (1, "CSV"), (1, "Markdown")):
        tab.locator(".table-bar").nth(place).get_by_role("button", name=kind).click()
        tab.locator(".table-said", has_text=f"rows copied as {kind}").wait_for()
        tab.locator("textarea").fill("")
        tab.locator("textarea").focus()
        tab.keyboard.press("Control+V")
        pasted[place, kind] = tab.locator("textarea").input_value()
        tab.reload()
    context.close()
    rows = list(csv.reader(io.StringIO(pasted[0, "CSV"])))
    assert rows[0] == ["OOD set", "detector", "AUROC", "AUROC low", "AUROC high", "ms"]
    assert len(rows) == 13, "all rows, also those that are not shown"
    assert rows[2] == ["far (far, 30)", "d1", "91.5", "80.0", "99.0", "1,000"]
    assert rows[7][2:] == ["9.5", "-1.0", "20.0", ""]
    assert list(csv.reader(io.StringIO(pasted[1, "CSV"])))[2] == ['say "x", y', "2 min", "−3"]
    assert pasted[1, "Markdown"].splitlines()[:3] == [
        "| method | took | gain |",
        "| --- | --- | --- |",
        "| b \\| c | 10 s | – |",
    ]


def test_the_filter_shows_rows_that_have_all_of_it_and_says_so_if_none_has(opened, page):
    tab = opened(page)
    found, words = tab.locator(".table-found"), tab.get_by_role("searchbox")
    words.fill("NEAR e3")
    assert shown(tab, "long") == ["e3"]
    assert shown(tab, "short") == []
    assert not tab.locator("#tab-short").is_visible()
    assert found.inner_text() == "Rows found: 1 (1 in Table long)."
    assert found.locator("a").get_attribute("href") == "#tab-long"
    words.fill("about short")
    assert len(shown(tab, "short")) == 4, "the caption counts"
    words.fill("zebra")
    assert found.inner_text().startswith("No row of this page has all of that")
    words.fill("")
    assert len(shown(tab, "long")) == 6
    tab.get_by_label("Set").select_option("near")
    assert shown(tab, "long") == [f"e{k}" for k in range(6)]
    tab.get_by_label("Detector").select_option("d1")
    assert found.inner_text().startswith("No row")
    tab.get_by_role("button", name="Show all").click()
    tab.locator("#tab-short").wait_for(state="visible")
    assert found.inner_text() == ""


def test_the_head_stays_while_a_long_table_scrolls(opened, page):
    tab = opened(page, viewport={"width": 600, "height": 300})
    tab.get_by_role("button", name="All 12 rows").click()
    box = tab.locator(".pst-scrollable-table-container").first
    assert box.evaluate("e => (e.scrollTop = 1e6) && e.scrollTop") > 0
    apart = "e => e.querySelector('th').getBoundingClientRect().top - e.getBoundingClientRect().top"
    assert abs(box.evaluate(apart)) < 3


def test_the_page_of_results_is_short_and_can_be_asked(opened, html):
    tab = opened((html / "notebooks" / "results.html").as_uri(), viewport={"width": 1280, "height": 900})
    assert tab.evaluate("() => document.documentElement.scrollHeight") < 9000
    tab.get_by_label("Find in the tables").fill("near energy")
    rows = tab.evaluate(SHOWN, "tab-results-animals-food")
    assert rows
    assert all(row[0].startswith("near") and row[1] == "energy" for row in rows)
    tab.get_by_label("Find in the tables").fill("AdaNeg")
    folded = tab.locator("#tab-results-reported-zero-shot")
    folded.wait_for(state="visible", timeout=5_000)
    assert "AdaNeg" in folded.inner_text(), "a fold with a hit opens"
    pages = tab.get_by_label("Page").locator("option").all_inner_texts()
    assert {"all", "zero shot", "outlier methods"} <= set(pages)


def test_every_run_id_on_a_page_leads_to_its_record(html, built):
    """Ids are links, but for those in code and in the data of a page; links end at a record with that id."""
    known = {path.stem: provenance.read_record(path).run for path in built.glob("runs/*.json")}
    for path in [*html.glob("notebooks/*.html"), html / "book" / "reproduce.html"]:
        text = path.read_text(encoding="utf-8")
        links = dict(re.findall(r'<a class="[^"]*download[^"]*"[^>]* href="([^"]+/(\w+)\.json)"', text))
        plain = re.sub(r"<a .*?</a>|<pre>.*?</pre>", "", text, flags=re.DOTALL)
        assert not [run for run in known.values() if run in plain], path.name
        for link, run in links.items():
            assert f'"run": "{run}"' in (path.parent / link).read_text(encoding="utf-8")
        if path.parent.name == "notebooks":
            assert known[path.stem] in links.values(), path.name
