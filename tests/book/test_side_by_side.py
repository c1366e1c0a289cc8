"""Several notebooks at once: which may overlap, which wait, and what a failure leaves."""

import re
import time

import pytest
import yaml

from oodlib import provenance
from oodlib.book import chapters
from oodlib.book.side_by_side import execute_all
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import load_profile

# Each says that it is here and waits for the other: one after the other they never meet.
MEETS = """
import time
from pathlib import Path
Path("{own}").touch()
until = time.monotonic() + 60
while not Path("{other}").exists() and time.monotonic() < until:
    time.sleep(0.05)
met = Path("{other}").exists()
"""
THREADS = 'import os; print("threads", os.environ.get("OMP_NUM_THREADS"))'


@pytest.fixture
def pages(project, tmp_path):
    """Write the table of contents of some notebooks; returns what `execute_all` takes."""

    def listed(*names: str) -> list:
        entries = [{"file": f"notebooks/{name}"} for name in names]
        toc = {"format": "jb-book", "root": "book/index", "parts": [{"caption": "x", "chapters": entries}]}
        (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
        return chapters.jobs_of([], load_profile("pocket"))

    return listed


def meets(own: str, other: str) -> str:
    return MEETS.format(own=own, other=other)


def test_two_run_at_once_and_share_the_cores_and_a_reader_waits_for_both(project, pages, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("oodlib.book.side_by_side.cores", lambda: 6)
    project(meets("a", "b") + "assert met", THREADS, name="page")
    project(meets("b", "a") + "assert met", name="other")
    project("from pathlib import Path; assert Path('a').exists() and Path('b').exists()", name="reads", reads=("x",))
    done = list(execute_all(pages("reads", "page", "other"), at_once=2))
    assert {one.name for one in done[:2]} == {"page", "other"}
    assert done[2].name == "reads"
    assert all(one.result.fresh and one.seconds > 0 for one in done)
    assert "threads 3" in done[0].result.path.with_name("page.ipynb").read_text(encoding="utf-8")
    for one in done:
        assert provenance.read_record(one.result.record).cpu_seconds > 0, "its own, not those of its neighbours"
    start = time.monotonic()
    again = list(execute_all(pages("reads", "page", "other"), at_once=2))
    assert [(one.name, one.result.fresh) for one in again] == [("page", False), ("other", False), ("reads", False)]
    assert time.monotonic() - start < 30, "no process is started for what has not changed"


def test_readers_wait_for_the_others_and_not_for_each_other(project, pages):
    project("import time; from pathlib import Path; time.sleep(2); Path('made').touch()", name="page")
    project("1", name="other")
    for own, other in (("a", "b"), ("b", "a")):
        waited = "from pathlib import Path; assert Path('made').exists()\n"
        project(waited + meets(own, other) + "assert met", name=own, reads=("x",))
    done = [one.name for one in execute_all(pages("a", "page", "b", "other"), at_once=2)]
    assert sorted(done[:2]) == ["other", "page"]
    assert sorted(done[2:]) == ["a", "b"]


def test_no_reader_of_the_book_reads_what_another_one_makes():
    """They run side by side."""
    reads = {name: chapters.about(chapters.source_path(name)).get("reads", []) for name in chapters.notebook_names()}
    readers = {name: paths for name, paths in reads.items() if paths}
    assert len(readers) > 3
    for maker in readers:
        source = chapters.source_path(maker).read_text(encoding="utf-8")
        made = re.findall(r'product\(\\"([^"\\]+)', source)
        for reader, paths in readers.items():
            found = [one for one in made for path in paths if one == path or one.startswith(f"{path}/")]
            assert not found or reader == maker


def test_one_that_measures_times_has_the_machine_for_itself(project, pages):
    project("import time, glob; time.sleep(1)", "assert not glob.glob('*.here')", name="page", alone=True)
    for name in ("other", "third"):
        here = f"mark = Path('{name}.here'); mark.touch(); time.sleep(3); mark.unlink()"
        project(f"import time; from pathlib import Path; {here}", name=name)
    done = [one.name for one in execute_all(pages("page", "other", "third"), at_once=3)]
    assert sorted(done[:2]) == ["other", "third"]
    assert done[2] == "page"


def test_the_longest_begin_first(project, pages, no_kernel):
    for name, minutes in {"page": 1, "other": 0, "third": 7}.items():
        project("1", name=name, minutes=minutes)
    begun = []
    jobs = pages("page", "other", "third")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oodlib.book.side_by_side._at_once", lambda jobs, *_: begun.extend(jobs) or [])
        list(execute_all(jobs, at_once=2))
    assert [name for name, *_ in begun] == ["third", "page", "other"]


def test_one_at_a_time_needs_no_process_of_its_own(project, pages, no_kernel):
    project("1", name="other")
    pages("page", "other")
    done = list(execute_all(chapters.jobs_of(["page", "other"], load_profile("pocket"), ["number=4"]), at_once=1))
    assert [one.name for one in done] == ["page", "other"]
    assert provenance.read_record(done[0].result.record).parameters["number"] == 4


def test_a_failure_is_the_sentence_of_its_notebook_and_the_others_are_kept(project, pages, tmp_path):
    project("raise ValueError('no such thing')", name="page")
    project("import time; time.sleep(1)", name="other")
    with pytest.raises(OodlibError, match=r"notebooks/page.ipynb failed in code cell 3: ValueError: no such thing"):
        list(execute_all(pages("page", "other"), at_once=2))
    kept = tmp_path / "_build" / "pocket" / "notebooks"
    assert [path.name for path in kept.iterdir()] == ["other.ipynb"]
