"""Pages that run elsewhere: which editions there are, what their links say, and the cell that installs one."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.book import launch
from oodlib.errors import OodlibError

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EDITION = launch.Edition("someone/outliers", "v0.1.0")
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("ref", ["v0.1.0", "v1.0.0rc1", "v2.10", COMMIT])
def test_releases_and_commits_are_editions(ref):
    assert launch.edition("some-one/out.liers_2", ref).ref == ref


@pytest.mark.parametrize(
    "ref", ["main", "HEAD", "v1", "0.1.0", COMMIT[:12], "v0.1.0; rm", 'v0.1"', "v0.1/x", "v0.1.0\n"]
)
def test_what_moves_or_is_no_name_is_refused(ref):
    with pytest.raises(OodlibError, match="names no release: pass --ref with a tag such as v0"):
        launch.Edition("someone/outliers", ref)


@pytest.mark.parametrize("repository", ["outliers", "a/b/c", 'a/b"', "a /b", "https://github.com/a/b"])
def test_a_repository_is_an_owner_and_a_name(repository):
    with pytest.raises(OodlibError, match="pass --repository OWNER/NAME"):
        launch.Edition(repository, "v0.1.0")


def test_half_an_edition_is_none():
    assert launch.edition(None, None) is None
    assert launch.edition("", "") is None, "an empty variable of the environment"
    for half in (("a/b", None), (None, "v0.1.0")):
        with pytest.raises(OodlibError, match="launch links need both"):
            launch.edition(*half)


def test_the_links_name_the_edition_and_a_notebook_that_is_there():
    colab, binder = EDITION.colab("zero_shot"), EDITION.binder("zero_shot")
    assert colab == "https://colab.research.google.com/github/someone/outliers/blob/launch/v0.1.0/zero_shot.ipynb"
    assert binder == "https://mybinder.org/v2/gh/someone/outliers/v0.1.0?urlpath=lab/tree/notebooks/zero_shot.ipynb"
    assert (ROOT / binder.partition("lab/tree/")[2]).is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_launchable_notebook_is_the_source_and_two_cells(path):
    source = json.loads(path.read_text(encoding="utf-8"))
    extended = launch.launchable(source, EDITION)
    nbformat.validate(nbformat.reads(json.dumps(extended), as_version=4))
    words, code = extended["cells"][1:3]
    assert [extended["cells"][0], *extended["cells"][3:]] == source["cells"]
    assert source == json.loads(path.read_text(encoding="utf-8")), "the source itself stays"
    assert words["cell_type"] == "markdown"
    assert "v0.1.0" in words["source"]
    assert code["cell_type"] == "code"
    compile(code["source"], "cell", "exec")


@given(st.sampled_from(["v0.1.0", COMMIT]))
def test_the_cell_never_follows_a_branch(ref):
    code = launch.launchable({"cells": [{}]}, launch.Edition("a/b", ref))["cells"][2]["source"]
    assert ref in code
    assert not re.search(r"\b(main|master|HEAD)\b(?<!FETCH_HEAD)", code.replace("FETCH_HEAD", ""))


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *settings, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def published(tmp_path, monkeypatch) -> Path:
    """A repository that stands in the place of GitHub's someone/outliers: one release, and a later commit."""
    place = tmp_path / "github" / "someone" / "outliers"
    (place / "tools").mkdir(parents=True)
    git(place, "init", "--quiet", "--initial-branch=main")
    script = "from pathlib import Path\nprint('launched', Path(__file__).parent.parent / 'x', {!r})\n"
    for edition in ("release", "later"):
        (place / "tools" / "launch.py").write_text(script.format(edition), encoding="utf-8")
        git(place, "add", ".")
        git(place, "commit", "--quiet", "--message", edition)
        if edition == "release":
            git(place, "tag", "v0.1.0")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/github/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    return place


def run_cell(edition: launch.Edition, folder: Path) -> str:
    """Run the cell in a Python that has no oodlib, as Colab's; says where it was left."""
    code = launch.launchable({"cells": [{}]}, edition)["cells"][2]["source"]
    program = f"{code}\nprint('left in', os.getcwd())"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-c", program]  # without site-packages
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["release", "commit"])
def test_the_cell_fetches_its_edition_and_goes_there(published, tmp_path, kind):
    ref = "v0.1.0" if kind == "release" else git(published, "rev-parse", "HEAD")
    edition = launch.Edition("someone/outliers", ref)
    checkout = tmp_path / "home" / f"outliers-by-name-{ref}"
    printed = run_cell(edition, tmp_path)
    assert f"launched {checkout / 'x'} {'release' if kind == 'release' else 'later'}" in printed
    assert f"left in {checkout}" in printed
    published.rename(published.with_name("gone"))
    assert f"left in {checkout}" in run_cell(edition, tmp_path), "a second run asks nobody"


def test_the_cell_mends_a_fetch_that_was_cut_short(published, tmp_path):
    checkout = tmp_path / "home" / "outliers-by-name-v0.1.0"
    checkout.mkdir()
    git(checkout, "init", "--quiet")
    assert "launched" in run_cell(EDITION, tmp_path)


def test_the_cell_does_nothing_where_the_library_is_there(tmp_path):
    (tmp_path / "oodlib.py").write_text("", encoding="utf-8")  # found first, as an installed one would be
    assert run_cell(EDITION, tmp_path) == f"left in {tmp_path}\n"


@pytest.mark.slow
def test_the_branch_keeps_releases_and_the_newest_commits(published, tmp_path):
    clone, pages = tmp_path / "clone", tmp_path / "pages"
    subprocess.run(["git", "clone", "--quiet", f"file://{published}", clone], check=True)
    pages.mkdir()
    (pages / "page.ipynb").write_text("{}", encoding="utf-8")
    commits = [f"{k:040x}" for k in range(22)]

    def put(ref: str) -> str:
        command = ["bash", str(ROOT / ".ci" / "launch"), str(pages), ref]
        return subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout

    def put_all(*refs: str) -> None:
        for ref in refs:
            assert put(ref) == f"launch: put the notebooks of {ref} on the branch\n"

    put_all("v0.1.0", *commits[:2])
    # What the script would write for the commits between, in one push: it takes half a second each time.
    between, branch = commits[2:19], tmp_path / "branch"
    subprocess.run(["git", "clone", "--quiet", "--branch", "launch", f"file://{published}", branch], check=True)
    for ref in between:
        shutil.copytree(pages, branch / ref)
    with (branch / "commits.txt").open("a") as file:
        file.writelines(f"{ref}\n" for ref in between)
    git(branch, "add", ".")
    git(branch, "commit", "--quiet", "--message", "between")
    git(branch, "push", "--quiet", "origin", "launch")
    put_all(*commits[19:])
    assert put(commits[-1]) == f"launch: the notebooks of {commits[-1]} are there\n"
    listed = git(published, "ls-tree", "-r", "--name-only", "launch").splitlines()
    assert sorted(listed) == sorted(["commits.txt", *(f"{ref}/page.ipynb" for ref in ("v0.1.0", *commits[2:]))])
    assert git(clone, "worktree", "list").count("\n") == 0, "nothing is left behind"
    assert git(clone, "status", "--porcelain") == ""
