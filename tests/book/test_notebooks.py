"""Executing notebooks: what is checked before, kept after, and left alone when a cell fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from oodlib import provenance
from oodlib.book import chapters, notebooks
from oodlib.errors import OodlibError
from oodlib.experiments.profiles import load_profile, project_root
from tests.book.conftest import MAKES_A_PRODUCT

SOURCES = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_sources_are_stripped_and_take_parameters(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(nbformat.reads(json.dumps(book), as_version=4))
    assert "papermill" not in book["metadata"]
    code = [c for c in book["cells"] if c["cell_type"] == "code"]
    for source in code:
        assert source["outputs"] == []
        assert source["execution_count"] is None
        compile("".join(source["source"]), str(path), "exec")
    parameters = [c for c in code if "parameters" in c["metadata"].get("tags", [])]
    assert len(parameters) == 1
    names: dict = {}
    exec("".join(parameters[0]["source"]), names)
    assert names["profile"] == "pocket"
    assert names["small"] is False


def test_every_notebook_is_a_page():
    assert sorted(chapters.notebook_names()) == [path.stem for path in SOURCES]


def test_notebooks_that_read_others_run_last(project):
    project("1", name="reads", reads=("results",))
    assert chapters.notebook_names() == ["page", "reads"]


def test_a_page_runs_under_the_profile_that_it_is_about(two_profiles):
    for small in (False, True):
        pocket, other = (load_profile(name, small=small) for name in ("pocket", "other"))
        assert chapters.profile_of("page", other) is other
        about = chapters.profile_of("reads", other)
        assert (about.name, about.is_small) == ("pocket", small)
        assert about.folder.name == ("pocket-small" if small else "pocket")
        assert chapters.profile_of("reads", pocket) is pocket, "a profile is not read again"
    two_profiles("1", name="reads", about="nobody")
    with pytest.raises(OodlibError, match="there is no profile 'nobody'"):
        chapters.profile_of("reads", other)


def test_pages_of_other_profiles_run_first_with_what_they_read(two_profiles):
    pocket, other = (load_profile(name) for name in ("pocket", "other"))
    assert chapters.runs_of(pocket) == [("page", pocket), ("reads", pocket)]
    jobs = [(name, run.name) for name, run in chapters.runs_of(other)]
    assert jobs == [("page", "pocket"), ("reads", "pocket"), ("page", "other")]
    two_profiles("1", name="reads", reads=("results",))
    assert [(name, run.name) for name, run in chapters.runs_of(other)] == [("page", "other"), ("reads", "other")]


def test_a_page_about_another_profile_is_executed_once_for_both_books(two_profiles, tmp_path, no_kernel):
    other = load_profile("other")
    for name, run in chapters.runs_of(other):
        notebooks.execute(name, run.name, small=run.is_small)
    assert {path.parent.parent.name for path in (tmp_path / "_build").glob("*/runs/reads.json")} == {"pocket"}
    pocket = load_profile("pocket")
    assert not any(notebooks.execute(name, run.name).fresh for name, run in chapters.runs_of(pocket))


def test_runs_records_and_then_does_nothing(project, tmp_path):
    done = notebooks.execute("page", parameters={"number": 5}, small=True)
    folder = tmp_path / "_build" / "pocket-small"
    assert done.fresh
    record = provenance.read_record(done.record)
    assert (folder / "results" / "number.txt").read_text() == f"5 11 {record.run}"
    assert record.parameters == {"profile": "pocket", "small": True, "number": 5}
    assert record.seeds == {"x": 7}
    assert record.products == {"results/number.txt": provenance.file_sha256(folder / "results" / "number.txt")}
    assert record.source_sha256 == provenance.file_sha256(tmp_path / "notebooks" / "page.ipynb")
    assert record.wall_seconds > 0
    assert record.cpu_seconds > 0
    before = files(folder)
    assert set(before) == {"notebooks/page.ipynb", "runs/page.json", "results/number.txt"}, (
        "nothing else is left behind"
    )
    assert not notebooks.execute("page", parameters={"number": 5}, small=True).fresh
    assert files(folder) == before


def test_threads_that_wait_sleep_unless_told_otherwise(project, monkeypatch):
    project("import os; print('policy', os.environ['OMP_WAIT_POLICY'], os.environ['OPENBLAS_NUM_THREADS'])")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert "policy passive 1" in notebooks.execute("page").path.read_text(encoding="utf-8")
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "policy active" in notebooks.execute("page", parameters={"number": 4}).path.read_text(encoding="utf-8")


def test_effective_parameters_include_the_defaults(project, no_kernel):
    record = provenance.read_record(notebooks.execute("page").record)
    assert record.parameters == {"profile": "pocket", "small": False, "number": 3}


def test_what_makes_it_run_again(project, tmp_path, no_kernel):
    assert notebooks.execute("page").fresh
    folder = tmp_path / "_build" / "pocket"
    changes = {
        "another parameter": lambda: {"parameters": {"number": 4}},
        "a product is gone": lambda: (folder / "results" / "number.txt").unlink() or {"parameters": {"number": 4}},
        "the executed page has changed": lambda: (
            (folder / "notebooks" / "page.ipynb").write_text("{}") and {"parameters": {"number": 4}}
        ),
        "a product has changed": lambda: (
            (folder / "results" / "number.txt").write_text("?") and {"parameters": {"number": 4}}
        ),
        "an input": lambda: {"parameters": {"number": 4}, "inputs": {"pictures": "0"}},
        "the lock file": lambda: (tmp_path / "requirements.lock").write_text("x") and {"parameters": {"number": 4}},
        "the source": lambda: project(MAKES_A_PRODUCT, "1 + 1") or {"parameters": {"number": 4}},
    }
    for what, change in changes.items():
        arguments = change()
        assert notebooks.execute("page", **arguments).fresh, what
        assert not notebooks.execute("page", **arguments).fresh, what


def test_two_runs_are_byte_identical_and_the_injected_cell_is_named_and_folded(project, tmp_path, monkeypatch):
    one = notebooks.execute("page", parameters={"number": 5}).path.read_bytes()
    monkeypatch.setenv("OODLIB_BUILD", str(tmp_path / "elsewhere"))
    two = notebooks.execute("page", parameters={"number": 5}).path.read_bytes()
    assert one == two
    book = json.loads(one)
    injected = [c for c in book["cells"] if "injected-parameters" in c["metadata"].get("tags", [])]
    assert [c["id"] for c in injected] == ["injected-parameters"]
    assert "hide-input" in injected[0]["metadata"]["tags"]
    assert "papermill" not in json.dumps(book)


@pytest.mark.parametrize(("name", "hint"), [("numbr", "did you mean 'number'"), ("zzz", "it takes number.")])
def test_a_mistyped_parameter_stops_before_anything_runs(project, tmp_path, name, hint):
    with pytest.raises(OodlibError, match=hint):
        notebooks.execute("page", parameters={name: 1})
    assert not (tmp_path / "_build").exists()


def test_nothing_runs_before_all_that_was_typed_is_checked(project):
    project("1", name="reads")
    pocket = load_profile("pocket")
    assert chapters.jobs_of(["page"], pocket, ["number=1_0"]) == [("page", pocket, {"number": 10})]
    assert chapters.jobs_of([], pocket) == [(*job, {}) for job in chapters.runs_of(pocket)]
    for names, texts, message in (
        (["page", "raeds"], [], "did you mean 'reads'"),
        (["page"], ["number=1.5"], "takes a whole number, not 1.5"),
        ([], ["number=1"], "name one"),
    ):
        with pytest.raises(OodlibError, match=message):
            chapters.jobs_of(names, pocket, texts)


def test_values_reach_the_notebook_as_what_they_are(project, tmp_path, caplog):
    """Of those that papermill reads by pattern and writes as text: a tuple, and defaults that hold = or #."""
    cell = (
        'profile = "pocket"\nsmall = False\nrate = 0.1\npair = (0, 1)\nrule = "a=b"\ntitle = "a # b"\ntable = {1: 2}\n'
    )
    check = """
assert (rate, pair, rule, title, table) == (0.01, (2, (3, True)), "c=d # e", 'q"\\\\', {1: [None, False]})
"""
    project(check)
    path = tmp_path / "notebooks" / "page.ipynb"
    book = json.loads(path.read_text())
    book["cells"][0]["source"] = cell
    path.write_text(json.dumps(book))
    texts = ["rate=1e-2", "pair=(2, (3, True))", "rule=c=d # e", 'title=q"\\', "table={1: [None, false]}"]
    ((name, run_as, given),) = chapters.jobs_of(["page"], load_profile("pocket"), texts)
    record = provenance.read_record(notebooks.execute(name, run_as.name, given).record)
    assert record.parameters["rate"] == 0.01
    assert "unknown parameter" not in caplog.text
    assert record.parameters["title"] == 'q"\\'


def test_unknown_notebook(project):
    with pytest.raises(OodlibError, match="no notebook 'pge': did you mean 'page'"):
        notebooks.execute("pge")


def test_a_failing_cell_is_one_sentence_and_leaves_what_was_there(project, tmp_path):
    notebooks.execute("page")
    folder = tmp_path / "_build" / "pocket"
    before = files(folder)
    project(MAKES_A_PRODUCT.replace("{number}", "half"), "raise ValueError('no such thing\\nsecond line')")
    with pytest.raises(OodlibError) as caught:
        notebooks.execute("page")
    log = folder / "logs" / "page.log"
    message = str(caught.value)
    assert "notebooks/page.ipynb failed in code cell 4: ValueError: no such thing" in message
    assert str(log) in message
    assert "\n" not in message
    assert "second line" in log.read_text(encoding="utf-8")
    after = files(folder)
    after.pop("logs/page.log")
    assert after == before, "neither the page nor what it makes may be half new"
    project(MAKES_A_PRODUCT)
    assert not notebooks.execute("page").fresh


def test_a_folder_that_cannot_be_written(project, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("OODLIB_BUILD", str(tmp_path / "file"))
    with pytest.raises(OodlibError, match=r"cannot write in .*: free some space, or set OODLIB_BUILD"):
        notebooks.execute("page")


def test_a_killed_kernel_is_said_in_one_sentence(project, tmp_path):
    project("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(OodlibError, match="its Python process died"):
        notebooks.execute("page")
    assert files(tmp_path / "_build" / "pocket") == {}


def test_the_check_for_changes_is_cheap(project, no_kernel):
    """`make reproduce` a second time must not pay for importing torch or papermill."""
    notebooks.execute("page")
    code = (
        "import sys; from oodlib.book import notebooks; assert not notebooks.execute('page').fresh; "
        "slow = {'torch', 'papermill', 'open_clip', 'matplotlib', 'pandas', 'IPython'} & set(sys.modules); "
        "assert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=project_root())
