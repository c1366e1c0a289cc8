"""Run records: what is in them, what changes them, and what survives a bad moment."""

import json
import subprocess

import pytest
import torch

from oodlib import provenance
from oodlib.errors import OodlibError
from oodlib.machine import cores

KNOWN = {"name": "page", "profile": "pocket", "run": "0" * 12, "parameters": {"small": True}, "source_sha256": "a" * 64}


def test_a_record_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "runs" / "page.json"
    written = provenance.stamp(path, root=tmp_path, **KNOWN, seeds={"bootstrap": 3}, wall_seconds=1.5)
    assert provenance.read_record(path) == written
    assert written.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert [p.name for p in path.parent.iterdir()] == ["page.json"], "no temporary file stays"


def test_the_cores_are_those_that_a_run_may_use(tmp_path):
    path = tmp_path / "page.json"
    assert provenance.stamp(path, root=tmp_path, **KNOWN).cpus == cores()
    new = ("cpus", "cpu_seconds", "processor", "notebook_sha256", provenance.SEAL)
    older = {key: value for key, value in json.loads(path.read_text(encoding="utf-8")).items() if key not in new}
    path.write_text(json.dumps(older), encoding="utf-8")
    assert provenance.read_record(path).cpus == 0, "an older record is read, too"


def test_a_folder_without_git_is_said_to_be_one(tmp_path):
    assert provenance.git_state(tmp_path) == ("unknown", False)
    assert provenance.stamp(tmp_path / "r.json", root=tmp_path, **KNOWN).commit == "unknown"


def test_the_commit_and_whether_files_changed(tmp_path):
    def git(*arguments):
        settings = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *settings, *arguments], check=True, capture_output=True)

    git("init")
    assert provenance.git_state(tmp_path) == ("unknown", False), "a repository without a commit has none to name"
    (tmp_path / "file").write_text("one", encoding="utf-8")
    git("add", ".")
    git("commit", "-m", "first")
    commit, dirty = provenance.git_state(tmp_path)
    assert len(commit) == 40
    assert not dirty
    (tmp_path / "file").write_text("two", encoding="utf-8")
    assert provenance.git_state(tmp_path) == (commit, True)


def test_the_run_id_depends_on_every_ingredient_and_not_on_their_order():
    base = {"code": "x", "parameters": {"a": 1, "b": 2}}
    assert provenance.run_id(base) == provenance.run_id({"parameters": {"b": 2, "a": 1}, "code": "x"})
    assert len(provenance.run_id(base)) == 12
    others = [{**base, "code": "y"}, {**base, "parameters": {"a": 1, "b": 3}}, {**base, "extra": None}]
    assert len({provenance.run_id(other) for other in [base, *others]}) == 4


def test_tree_hash_sees_names_and_bytes_but_not_bytecode(tmp_path):
    (tmp_path / "a").write_text("x", encoding="utf-8")
    before = provenance.tree_sha256(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"1")
    assert provenance.tree_sha256(tmp_path) == before
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = provenance.tree_sha256(tmp_path)
    (tmp_path / "b").write_text("y", encoding="utf-8")
    assert len({before, renamed, provenance.tree_sha256(tmp_path)}) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "page"}', '{"unknown": 1}'])
def test_a_broken_record_is_as_good_as_none(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    assert provenance.read_record(path) is None
    assert provenance.read_record(tmp_path / "absent.json") is None


def test_no_changed_bit_gives_another_record(tmp_path):
    path = tmp_path / "r.json"
    written = provenance.stamp(path, root=tmp_path, **KNOWN, wall_seconds=1.5, products={"results/a.csv": "b" * 64})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 7]) + whole[place + 1 :])
        assert provenance.read_record(path) in (written, None), whole[place - 20 : place + 20]


def test_facts_gather_in_the_record_of_the_run(tmp_path, monkeypatch):
    facts = tmp_path / "facts.json"
    monkeypatch.setenv(provenance.FACTS_VARIABLE, str(facts))
    provenance.note(seeds={"bootstrap": 0}, device="cpu")
    provenance.note(seeds={"split": 1}, device="cuda")
    assert json.loads(facts.read_text(encoding="utf-8")) == {"device": "cuda", "seeds": {"bootstrap": 0, "split": 1}}
    with pytest.raises(OodlibError, match="no field 'seed'"):
        provenance.note(seed=0)


def test_outside_a_run_facts_go_nowhere_and_products_go_to_the_folder(tmp_path, monkeypatch):
    for name in (provenance.FACTS_VARIABLE, provenance.PRODUCTS_VARIABLE, provenance.RUN_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    provenance.note(seeds={"bootstrap": 0})
    assert list(tmp_path.iterdir()) == []
    assert provenance.product("results/x.csv", tmp_path) == tmp_path / "results" / "x.csv"
    assert (tmp_path / "results").is_dir()
    assert provenance.current_run() == "interactive"
    assert not provenance.recording()


def test_inside_a_run_products_go_to_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(provenance.PRODUCTS_VARIABLE, str(tmp_path / "run"))
    assert provenance.product("figures/x.png", tmp_path / "profile") == tmp_path / "run" / "figures" / "x.png"
    assert provenance.recording()
