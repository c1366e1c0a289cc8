"""Building and serving the site: what stops it, and what stays where it was."""

import json
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
import yaml

from oodlib.book import launch, notebooks, site
from oodlib.errors import OodlibError

ROOT = Path(__file__).parents[2]
PROFILE = {
    "title": "Made up",
    "encoder": {"name": "none"},
    "dataset": "emojishift",
    "templates": "none",
    "detectors": {"mcm": {}},
    "id_sets": ["none"],
    "n_boot": 10,
}
CODE = """from oodlib.experiments import profiles; from oodlib.report import pages, plots
run = profiles.load_profile(profile, small=small)
pages.say("**The finding.** Half of 5 % is little.")"""
TABLE = """import pandas as pd
from oodlib.report.cells import Interval
from oodlib.provenance import product
made = product("results/made.csv", run.folder).write_text("a,b\\n")
pages.table(pd.DataFrame({"score": ["mcm"], "AUROC": [Interval(0.9, 0.8, 0.95)]}), "counts", caption="Counts.")"""
EDITION = launch.Edition("someone/outliers", "v0.1.0")


def enter(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("OODLIB_PROJECT", str(folder))
    monkeypatch.setenv("OODLIB_BUILD", str(folder / "_build"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Path:
    """A book of two pages, one of them a notebook that has been executed, with the real configuration."""
    tmp_path = tmp_path_factory.mktemp("book")
    for name in ("book", "notebooks", "profiles"):
        (tmp_path / name).mkdir()
    (tmp_path / "_config.yml").write_text((ROOT / "_config.yml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "profiles" / "pocket.yaml").write_text(yaml.safe_dump(PROFILE), encoding="utf-8")
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": "notebooks/page"}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (tmp_path / "book" / "index.md").write_text("# A book\n\nWith $x^2$ in it.\n", encoding="utf-8")
    (tmp_path / "book" / "references.bib").write_text("", encoding="utf-8")
    (tmp_path / "book" / "_static").mkdir()
    for name in ("book.css", "print.js", "tables.css", "tables.js", "favicon.svg"):
        shutil.copy(ROOT / "book" / "_static" / name, tmp_path / "book" / "_static")
    shutil.copytree(ROOT / "book" / "_root", tmp_path / "book" / "_root")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    parameters = nbformat.v4.new_code_cell('profile = "pocket"\nsmall = False', metadata={"tags": ["parameters"]})
    shown = nbformat.v4.new_code_cell(CODE, metadata={"tags": ["lead", "hide-input"]})
    text = nbformat.v4.new_markdown_cell("# A page\n\nAnd what it is about.")
    table = nbformat.v4.new_code_cell(TABLE, metadata={"tags": ["hide-input"]})
    book = nbformat.v4.new_notebook(cells=[text, parameters, shown, table])
    book["metadata"]["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, tmp_path / "notebooks" / "page.ipynb")
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(monkeypatch, tmp_path)
        notebooks.execute("page")
    return tmp_path


@pytest.fixture(scope="module")
def built(executed, tmp_path_factory) -> Path:
    """A copy of that book with its site."""
    tmp_path = tmp_path_factory.mktemp("built") / "book"
    shutil.copytree(executed, tmp_path, symlinks=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        enter(monkeypatch, tmp_path)
        index, fresh = site.build()
    assert fresh
    assert index == tmp_path / "_build" / "pocket" / "html" / "index.html"
    return tmp_path


@pytest.fixture
def project(executed, tmp_path, monkeypatch) -> Path:
    """A copy of the book without a site, to change."""
    shutil.copytree(executed, tmp_path, dirs_exist_ok=True, symlinks=True)
    enter(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def with_site(built, tmp_path, monkeypatch) -> Path:
    """A copy of the book with its site, to change; the site is as good there as where it was built."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True, symlinks=True)
    enter(monkeypatch, tmp_path)
    return tmp_path


def test_builds_once_and_opens_with_the_finding(with_site):
    index, fresh = site.build()
    assert not fresh, "it was built before, by the fixture"
    page = (index.parent / "notebooks" / "page.html").read_text(encoding="utf-8")
    article = re.sub(r"<[^>]+>", "", page[page.index("<article") :])
    places = [article.index(part) for part in ("A page", "The finding.", "what it is about", "load_profile")]
    assert places == sorted(places)
    assert article.count("Half of 5\N{NO-BREAK SPACE}%") == 1, "shown once, and not again where the code stands"
    assert "How this page was made" in article
    assert (index.parent / "_static" / "mathjax" / "tex-mml-chtml.js").is_file()
    assert (index.parent / "try_it_worker.js").is_file()
    left = {path.name for path in index.parent.parent.iterdir()}
    expected = {"html", "logs", "notebooks", "results", "runs", "site.json", "tables"}
    assert left == expected, "nothing half-finished is left behind"


def downloads(page: Path) -> dict[str, Path]:
    """What a page offers to take along, by name."""
    links = re.findall(r'href="(\.\./_downloads/[^"]+)"', page.read_text(encoding="utf-8"))
    return {Path(link).name: (page.parent / link).resolve() for link in links}


def test_a_page_offers_its_notebook_and_the_data_of_its_tables(with_site):
    index, _ = site.build()
    page, folder = index.parent / "notebooks" / "page.html", index.parent.parent
    offered = downloads(page)
    run = json.loads((folder / "runs" / "page.json").read_text(encoding="utf-8"))["run"]
    assert offered.keys() == {"page.ipynb", "page.source.ipynb", "made.csv", "counts.csv", f"{run}.json"}
    assert offered[f"{run}.json"].read_bytes() == (folder / "runs" / "page.json").read_bytes()
    assert offered["page.source.ipynb"].read_bytes() == (with_site / "notebooks" / "page.ipynb").read_bytes()
    assert offered["page.ipynb"].read_bytes() == (folder / "notebooks" / "page.ipynb").read_bytes()
    assert offered["counts.csv"].read_text(encoding="utf-8") == "score,AUROC,AUROC low,AUROC high\nmcm,90.0,80.0,95.0\n"
    text = page.read_text(encoding="utf-8")
    assert "counts.csv" in re.search(r"<caption>.*?</caption>", text, re.DOTALL)[0]
    assert "Open in Colab" not in text
    assert not (index.parent / "launch").exists()


def test_a_published_edition_has_launch_links_and_what_they_open(with_site):
    project = with_site
    index, fresh = site.build(published=EDITION)
    assert fresh, "another edition is another site"
    page = (index.parent / "notebooks" / "page.html").read_text(encoding="utf-8")
    for address in (EDITION.colab("page"), EDITION.binder("page")):
        assert f'href="{address}"' in page
    opened = json.loads((index.parent / "launch" / "page.ipynb").read_text(encoding="utf-8"))
    source = json.loads((project / "notebooks" / "page.ipynb").read_text(encoding="utf-8"))
    assert opened == launch.launchable(source, EDITION)
    assert site.build(published=EDITION) == (index, False)
    assert site.build() == (index, True), "and so is none"
    assert not (index.parent / "launch").exists()


def test_links_to_other_hosts_are_asked(project):
    class Host(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/there" else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    page = project / "book" / "index.md"
    page.write_text(f"# A book\n\n<{address}/there>, <https://doi.org/10.0/none>\n", encoding="utf-8")
    try:
        assert site.check_links() == 1
        page.write_text(f"# A book\n\n<{address}/there> and <{address}/gone>\n", encoding="utf-8")
        with pytest.raises(
            OodlibError, match=rf"^1 links do not answer, {address}/gone among them: mend them"
        ) as caught:
            site.check_links()
    finally:
        server.shutdown()
    assert "\n" not in str(caught.value)
    log = (project / "_build" / "pocket" / "logs" / "links.log").read_text(encoding="utf-8")
    assert log.startswith(f"{address}/gone on book/index.md: 404")
    assert not list((project / "_build" / "pocket").glob(".links-*"))


def test_a_change_of_a_page_builds_again_and_a_failure_leaves_the_old_site(with_site):
    project = with_site
    index, _ = site.build()
    before = {path: path.read_bytes() for path in sorted(index.parent.rglob("*.html"))}
    (project / "book" / "index.md").write_text("# A book\n\nSee {numref}`fig-nowhere`.\n", encoding="utf-8")
    with pytest.raises(OodlibError, match=r"does not build: .*fig-nowhere") as caught:
        site.build()
    assert "\n" not in str(caught.value)
    log = project / "_build" / "pocket" / "logs" / "site.log"
    assert str(log) in str(caught.value)
    assert "fig-nowhere" in log.read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in sorted(index.parent.rglob("*.html"))} == before
    (project / "book" / "index.md").write_text("# Another book\n", encoding="utf-8")
    assert site.build() == (index, True)
    assert "Another book" in (index.parent / "book" / "index.html").read_text(encoding="utf-8")


def test_a_page_is_never_older_than_its_notebook(project):
    path = project / "notebooks" / "page.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("little", "much"), encoding="utf-8")
    with pytest.raises(OodlibError, match=r"page\.ipynb has changed .*`make reproduce`"):
        site.build()


def test_a_notebook_that_was_not_executed(project):
    (project / "_build" / "pocket" / "runs" / "page.json").unlink()
    with pytest.raises(OodlibError, match=r"has not been executed under 'pocket': run `make reproduce`"):
        site.build()


def test_mathjax_missing(project):
    (project / "node_modules").unlink()
    with pytest.raises(OodlibError, match=r"MathJax is missing: run `npm ci` \(make setup\)"):
        site.build()


def test_the_interactive_map_goes_out_with_plotly(project):
    explorer = project / "_build" / "pocket" / "explorer"
    explorer.mkdir()
    (explorer / "points.js").write_text("window.oodlibExplorer = {};", encoding="utf-8")
    record = project / "_build" / "pocket" / "runs" / "page.json"
    facts = json.loads(record.read_text(encoding="utf-8"))
    facts["products"]["explorer/points.js"] = "made by the page"
    facts.pop("sha256")  # it is of the record before
    record.write_text(json.dumps(facts), encoding="utf-8")
    index, _ = site.build()
    static = index.parent / "_static"
    assert (static / "explorer" / "points.js").is_file()
    assert (static / "plotly" / "plotly-basic.min.js").stat().st_size > 1_000_000
    (project / "book" / "index.md").write_text("# Another book\n", encoding="utf-8")
    (project / "node_modules").unlink()
    (project / "node_modules").mkdir()
    (project / "node_modules" / "mathjax").symlink_to(ROOT / "node_modules" / "mathjax")
    with pytest.raises(OodlibError, match=r"plotly is missing: run `npm ci` \(make setup\)"):
        site.build()


def test_serve_needs_a_site(project):
    with pytest.raises(OodlibError, match="there is no site for the profile 'pocket' yet"):
        site.serve()


def test_serve_needs_a_free_port(with_site):
    code = "from oodlib.book import site; site.serve(port=0)"
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", server.stdout.readline())
        with urllib.request.urlopen(address.group()) as reply:
            assert reply.status == 200
        with pytest.raises(OodlibError, match=f"port {address.group(1)} cannot be used"):
            site.serve(port=int(address.group(1)))
    finally:
        server.terminate()
        server.wait()


def test_a_run_record_is_json_for_anybody(project):
    record = json.loads((project / "_build" / "pocket" / "runs" / "page.json").read_text(encoding="utf-8"))
    assert record["name"] == "page"
    assert record["commit"] == "unknown"


def test_all_that_makes_the_detector_of_try_it_is_in_the_digest_of_the_site():
    """Else `oodlib book` would take an older detector for the one of today."""
    package = Path(site.__file__).parents[1]
    counted = {path for name in site.CODE for path in package.glob(name)}
    source = (package / "pocket" / "browser.py").read_text(encoding="utf-8")
    makers = {f"{name}.py" for name in re.findall(r"^from oodlib\.pocket\.(\w+) import", source, re.MULTILINE)}
    assert "layers.py" in makers
    needed = {package / "pocket" / name for name in (*makers, "browser.py", "image.onnx", "text.onnx")}
    assert needed <= counted, sorted(path.name for path in needed - counted)
