"""The files of the moving cut: what a browser will read, checked without one."""

import base64
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from oodlib import provenance
from oodlib.datasets.base import Manifest
from oodlib.errors import OodlibError
from oodlib.report import moving_cut
from oodlib.report.explorer import CELL
from oodlib.report.moving_cut import MOST, SHOWN, cut_block, show_cut, write_cut

KINDS = {"things": "far", "siblings": "near"}
DETECTORS = ("mcm", "energy")


def manifest(folder, name: str, n: int) -> Manifest:
    """Pictures of one set, all from one small file; their names are not fit for HTML or for a script."""
    Image.new("RGB", (60, 30), "red").save(folder / "red.png")
    ids = [f"{name}/{k}" for k in range(n)]
    rows = {"id": ids, "uri": "red.png", "label": [f'{k} </script><b>"' for k in ids], "split": "test", "sha256": "x"}
    return Manifest(name, folder, pd.DataFrame(rows))


@pytest.fixture
def sets(tmp_path) -> dict[str, Manifest]:
    return {name: manifest(tmp_path, name, n) for name, n in (("animals", 70), ("things", 5), ("siblings", 3))}


def scored(sets, detectors=DETECTORS, id_set="animals") -> pd.DataFrame:
    """Scores as a page keeps them: float32, with ties."""
    rng = np.random.default_rng(0)
    rows = [
        pd.DataFrame({"set": name, "detector": detector, "id": part.table["id"], "score": rng.normal(size=len(part))})
        for detector in detectors
        for name, part in sets.items()
    ]
    frame = pd.concat(rows, ignore_index=True).assign(id_set=id_set)
    return frame.assign(score=frame["score"].round(2).astype(np.float32))


def told(path) -> dict:
    script = path.read_text(encoding="utf-8")
    assert "</script" not in script.replace("<\\/script", ""), "a page may hold the text of the file, too"
    return json.loads(script[script.index('"] = {') + 5 : script.rindex("}") + 1])


def test_the_scores_go_out_as_they_are_kept(sets, tmp_path):
    frame = scored(sets)
    others = scored(sets, id_set="things").assign(score=9.0)  # the same pictures under another ID set
    mixed = pd.concat([others, frame.sample(frac=1, random_state=0)])
    write_cut(tmp_path / "page.js", mixed, sets, "animals", KINDS, DETECTORS)
    script = (tmp_path / "page.js").read_text(encoding="utf-8")
    assert script.startswith('(window.oodlibCuts ??= {})["page"] = {')
    data = told(tmp_path / "page.js")
    assert [one["label"] for one in data["sets"]] == [
        "animals (ID, 70 pictures)",
        "things (far, 5 pictures)",
        "siblings (near, 3 pictures)",
    ]
    assert [one["name"] for one in data["detectors"]] == list(DETECTORS)
    for one in data["detectors"]:
        for name, text in zip(sets, one["scores"], strict=True):
            rows = frame[(frame["detector"] == one["name"]) & (frame["set"] == name)]
            kept = rows["score"].to_numpy()
            assert np.array_equal(np.frombuffer(base64.b64decode(text), "<f4"), kept)
    assert (tmp_path / "page.js").stat().st_size < 6 * len(frame) + 60 * SHOWN * len(sets)


def test_a_few_pictures_of_every_set_are_shown_from_the_lowest_score_to_the_highest(sets, tmp_path):
    frame = scored(sets)
    write_cut(tmp_path / "page.js", frame, sets, "animals", KINDS, DETECTORS)
    data = told(tmp_path / "page.js")
    for one, (name, part) in zip(data["sets"], sets.items(), strict=True):
        assert one["names"] == part.table["label"].iloc[one["shown"]].tolist()
        assert len(one["shown"]) == min(SHOWN, len(part))
        kept = frame[(frame["detector"] == "mcm") & (frame["set"] == name)]["score"].to_numpy()
        assert {kept[one["shown"]].min(), kept[one["shown"]].max()} == {kept.min(), kept.max()}
    with Image.open(tmp_path / "page.webp") as sheet:
        assert sheet.size == (CELL * data["columns"], CELL * data["rows"])
        assert data["columns"] * data["rows"] >= sum(len(one["shown"]) for one in data["sets"])


def test_of_a_large_set_some_pictures_are_taken_and_the_page_says_how_many(tmp_path):
    sets = {name: manifest(tmp_path, name, n) for name, n in (("animals", MOST + 1), ("things", 2))}
    write_cut(tmp_path / "page.js", scored(sets), sets, "animals", {"things": "far"}, ["mcm"])
    data = told(tmp_path / "page.js")
    assert data["sets"][0]["label"] == f"animals (ID, {MOST:,} of {MOST + 1:,} pictures)"
    assert len(base64.b64decode(data["detectors"][0]["scores"][0])) == 4 * MOST
    assert max(data["sets"][0]["shown"]) < MOST


def test_the_same_scores_give_the_same_files(sets, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_cut(tmp_path / name / "page.js", scored(sets), sets, "animals", KINDS, DETECTORS)
    for file in ("page.js", "page.webp"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_score_that_is_missing_or_no_number_is_said(sets, tmp_path):
    frame = scored(sets)
    for bad in (frame.drop(index=3), frame.assign(score=frame["score"].where(frame.index != 3))):
        with pytest.raises(OodlibError, match="mcm lacks the scores of 1 of 70 pictures of animals: keep those of ev"):
            write_cut(tmp_path / "page.js", bad, sets, "animals", KINDS, DETECTORS)
    with pytest.raises(OodlibError, match="msp lacks the scores of 70 of 70 pictures of animals"):
        write_cut(tmp_path / "page.js", frame, sets, "animals", KINDS, ["msp"])
    assert not (tmp_path / "page.js").exists(), "nothing half-written"


def test_a_recorded_run_writes_the_files_and_the_page_gets_the_block(sets, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(moving_cut, "display", lambda data, **_: shown.append(data))
    monkeypatch.delenv(provenance.PRODUCTS_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    show_cut("page", scored(sets), sets, "animals", KINDS, DETECTORS)
    assert not (tmp_path / "cut").exists(), "an interactive run writes no file"
    monkeypatch.setenv(provenance.PRODUCTS_VARIABLE, str(tmp_path))
    show_cut("page", scored(sets), sets, "animals", KINDS, DETECTORS)
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {"page.js", "page.webp"}
    assert shown[0] == shown[1]
    assert '<section class="cut" data-name="page"' in shown[1]["text/markdown"]
    assert "<noscript>" in shown[1]["text/markdown"]


def test_a_page_without_the_figure_brings_one_for_readers_without_scripts():
    block = cut_block("page", still="curve", alt='A "curve" & more')
    assert '<figure class="cut-still"><img src="../_images/curve.svg" alt="A &quot;curve&quot; &amp; more"' in block
    assert "<noscript>" not in block
