"""What stands in the built pages, read without a browser."""

import itertools
import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest

from oodlib import provenance
from oodlib.book import chapters, notebooks, site
from oodlib.experiments.profiles import load_profile
from oodlib.report.reported import load_reported

pytestmark = [pytest.mark.notebook, pytest.mark.slow]
TOC = (Path(__file__).parents[2] / "_toc.yml").read_text(encoding="utf-8")
PAGES = tuple(re.findall(r"(?:root|file): (\S+)", TOC))
NUMBERED = [part for part in TOC.split("- caption:") if "numbered: true" in part and "coursework" not in part]
CHAPTERS = [name for part in NUMBERED for name in re.findall(r"file: (\S+)", part)]
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The parts of a page that the tests look at."""

    def __init__(self, path: Path):
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.loads: list[str] = []
        self.headings: list[int] = []
        self.inside = False
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.folder = path.parent
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.ids.add(given.get("id") or "")
        self.links += [given[name] or "" for name in ("href", "src") if name in given]
        if tag == "img":
            self.images.append(given)
        if tag in LOADS and given.get("rel") not in ("index", "search", "next", "prev", "canonical"):
            self.loads.append(given.get(LOADS[tag]) or "")
        self.inside |= tag == "article"  # before it, the theme repeats the title and the contents for print
        if self.inside and re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


@pytest.fixture(params=PAGES)
def page(request, html) -> Page:
    return Page(html / f"{request.param}.html")


def test_a_second_run_does_nothing_and_quickly(built, small):
    start = time.monotonic()
    assert not any(notebooks.execute(name, small=small).fresh for name in chapters.notebook_names())
    index, fresh = site.build(small=small)
    assert not fresh
    assert index.is_file()
    assert time.monotonic() - start < 10


def test_alternative_texts_are_written_for_readers(page):
    for image in page.images:
        alt = image.get("alt") or ""
        assert len(alt) > 20, image
        assert not re.search(r"\.(png|svg|jpe?g|gif)$", alt), "the default is the file's path"


def test_a_figure_leads_to_itself_in_full_size(page):
    for address in re.findall(r'<a class="[^"]*image-reference[^"]*" href="([^"]+)"', page.text):
        assert (page.folder / address).resolve().is_file(), address


def test_every_link_inside_the_site_leads_somewhere(html):
    pages = {path: Page(path) for path in html.rglob("*.html") if "_static" not in path.parts}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not link:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].ids if target in pages else {""}
            if not target.is_file() or (target in pages and unquote(parts.fragment) not in known | {""}):
                dead.append(f"{path.relative_to(html)}: {link}")
    assert len(pages) > len(PAGES)
    assert dead == []


def test_a_page_offers_its_notebook_and_its_data(html):
    for name in chapters.notebook_names():
        path = html / "notebooks" / f"{name}.html"
        text = path.read_text(encoding="utf-8")
        offered = {(path.parent / link).resolve() for link in re.findall(r'href="([^"]*_downloads/[^"]+)"', text)}
        taken = {file.name for file in offered}
        assert f"{name}.ipynb" in taken
        for file in offered:
            if file.suffix == ".csv":
                frame = pd.read_csv(file)
                assert len(frame) > 0, file
                assert not frame.columns.str.startswith("Unnamed").any(), file
        tables = re.findall(r'<table[^>]* id="tab-[^"]+".*?</caption>', text, flags=re.DOTALL)
        assert all("_downloads/" in table for table in tables), name
        made = provenance.read_record(html.parent / "runs" / f"{name}.json")
        if made:
            assert {Path(path).name for path in made.products if re.match(r"results/.*\.csv$", path)} <= taken


def test_chapters_link_words_to_the_glossary_and_numbers_to_their_pictures(html):
    compare = {*("zero_shot", "outlier_words", "ole", "outlier_methods", "outlier_failures", "tuning"), "limits"}
    compare |= {"embedding_spaces", "use_it", "conventions", "results"}
    for name in chapters.notebook_names():
        text = (html / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
        assert "glossary.html#term-" in text, name
        assert "#tab-which-pictures" in text or name not in compare, name


def test_no_table_has_a_column_of_differences_that_are_all_zero(built):
    """A sentence says that in less room."""
    for record in map(provenance.read_record, built.glob("runs/*.json")):
        for path in (built / name for name in record.products if name.startswith("tables/")):
            frame = pd.read_csv(path)
            for column in (name for name in frame if f"{name} low" in frame):
                three = [column, f"{column} low", f"{column} high"]
                parts = frame[three].apply(pd.to_numeric, errors="coerce").dropna()
                assert parts.empty or (parts.abs() >= 0.05).any(axis=None), f"{path.name}: {column}"


def test_the_wall_time_of_every_notebook_is_on_a_page(html):
    text = re.sub(r"<[^>]+>", " ", (html / "book" / "reproduce.html").read_text(encoding="utf-8"))
    records = [provenance.read_record(path) for path in sorted((html.parent / "runs").glob("*.json"))]
    assert len(records) == len(chapters.notebook_names())
    for record in records:
        assert re.search(rf"\s{record.wall_seconds:,.0f}\s[^|]*?{record.run}", text), record.name
        assert record.processor in text, "times mean little without what they were measured on"


def test_nothing_comes_from_another_host(page):
    for address in page.loads:
        assert not re.match(r"(https?:)?//", address), address
    assert "thebe" not in page.text.lower()
    assert "unpkg.com" not in page.text
    assert "cdn." not in page.text


def test_no_folder_of_this_machine_is_on_the_page(page, built):
    for folder in {Path.home(), built, Path(__file__).parents[2]}:
        assert str(folder) not in page.text


def test_headings_go_down_one_step_at_a_time(page):
    levels = page.headings
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), levels


def test_the_notebooks_that_were_executed_say_how(html, built, small):
    for name in chapters.notebook_names():
        record = provenance.read_record(built / "runs" / f"{name}.json")
        text = (html / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
        assert "How this page was made" in text
        assert record.run in text
        assert record.source_sha256[:12] in text
        assert f"small = {small}" in re.sub(r"<[^>]+>", "", text)


def test_records_are_full(built):
    record = provenance.read_record(built / "runs" / "zero_shot.json")
    assert set(record.manifests) == {"emojishift", "emojishift, pictures used"}
    assert all(len(digest) == 64 for digest in record.manifests.values())
    assert record.encoder["model"] == "pocket"
    assert len(record.encoder["digest"]) == 64
    assert record.embeddings["emojishift"]
    assert record.seeds == {"bootstrap": 0}
    assert record.products.keys() >= {"results/detection.parquet", "results/detection.csv", "fragments/headline.md"}


def test_executed_notebooks_are_clean(built):
    for name in chapters.notebook_names():
        book = json.loads((built / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        for cell in book["cells"]:
            for output in cell.get("outputs", []):
                assert output["output_type"] != "error"
                assert output.get("name") != "stderr"


def test_chapters_open_with_what_they_show_and_close_with_what_was_learned(html):
    cards = {"notebooks/emojishift", "notebooks/pocketclip", "notebooks/results"}  # one looks things up in these
    for name in CHAPTERS:
        text = (html / f"{name}.html").read_text(encoding="utf-8")
        code = text.find("highlight-ipython3")
        opening = "What this page shows." if name.startswith("book/") else "The finding."
        assert 0 < text.find(opening) < (code if code > 0 else len(text)) or name in cards, name
        assert "What was learned" in re.sub(r"<[^>]+>", "", text), name


def test_the_zero_shot_page_shows_every_pair_and_score(html, built):
    results = pd.read_parquet(built / "results" / "detection.parquet")
    text = (html / "notebooks" / "zero_shot.html").read_text(encoding="utf-8")
    tables = "".join(re.findall(r"<table.*?</table>", text, flags=re.DOTALL))
    shown = results[results["metric"].isin(["auroc", "fpr95", "fpr95_ood"])]
    assert shown.groupby(["id_set", "ood_set"]).ngroups == 9
    assert shown["detector"].nunique() == 6
    for row in shown.itertuples():
        cell = f"{100 * row.value:.1f}\N{NO-BREAK SPACE}[{100 * row.low:.1f},\N{NO-BREAK SPACE}{100 * row.high:.1f}]"
        assert cell in tables, row
    for id_set in shown["id_set"].unique():
        for figure in ("histogram", "roc"):
            assert f'id="fig-zero-shot-{figure}-{id_set}"' in text


def test_the_outlier_label_page_sets_test_time_methods_apart(html, built):
    results = pd.read_parquet(built / "results" / "outlier_labels.parquet")
    transductive = results.groupby("detector")["transductive"].all()
    assert set(transductive[transductive].index) == {"ada_neg", "clip_scope"}
    assert {"ole", "neg_label", "csp", "eoe-far", "clipn_atd", "raw", "oracle", "mcm"} <= set(transductive.index)
    assert {"neg_refine", "dnm", "renyi_neg"} <= set(transductive.index)
    text = (html / "notebooks" / "outlier_methods.html").read_text(encoding="utf-8")
    tables = re.findall(r'<table[^>]*id="tab-outlier-methods-[^"]*".*?</table>', text, flags=re.DOTALL)
    assert len(tables) == 6
    for table in tables[:5]:
        for row in re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL):
            marked = "⇄" in row
            assert marked == any(f">{name}<" in row for name in ("ada_neg", "clip_scope")), row


def test_no_hand_that_draws_shots_draws_a_test_picture(built, small):
    results = pd.read_parquet(built / "results" / "few_shot.parquet")
    hands = set(load_profile("pocket", small=small).few_shot.test)
    ten = results[results["id_set"] == "few-shot-ten"]
    assert set(ten["n_id"]) == {10 * len(hands)}


def test_the_conventions_page_reconciles_released_scores(html):
    text = (html / "notebooks" / "conventions.html").read_text(encoding="utf-8")
    mean = re.search(r"<tr[^>]*>\s*<td><p>mean</p></td>(.*?)</tr>", text, flags=re.DOTALL).group(1)
    cells = re.findall(r"<p>([\d.]+)</p>", mean)
    assert [cells[k] for k in (0, 1, 3, 4)] == ["43.1", "37.2", "35.3", "41.2"]


def test_the_results_page_shows_every_reported_number_and_that_none_was_run(html):
    reported = load_reported(site.project_root() / "book" / "_data" / "reported.csv")
    text = (html / "notebooks" / "results.html").read_text(encoding="utf-8")
    tables = dict(re.findall(r'<table[^>]*id="tab-results-reported-([\w-]+)"(.*?)</table>', text, flags=re.DOTALL))
    assert set(tables) == {"mcm", *reported["table"]}
    for name, rows in reported.groupby("table"):
        shown = re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", re.sub(r"<[^>]+>", " ", tables[name]))
        assert not set(rows["printed"]) - set(shown), name
    assert "None of them was run here." in text
    assert 'id="tab-results-beside' not in text
    assert "not run here" not in text


def test_every_number_in_prose_comes_from_the_run(built):
    """A sentence with a decimal number in it is an output, not a source."""
    allowed = {"0.01", "0.02", "1.0", "0.4", "1.5"}  # temperatures and versions of other people's code
    for name in chapters.notebook_names():
        source = json.loads(chapters.source_path(name).read_text(encoding="utf-8"))
        for cell in source["cells"]:
            if cell["cell_type"] == "markdown":
                assert set(re.findall(r"\d+\.\d+", "".join(cell["source"]))) <= allowed
