"""`oodlib compare`: every detector on a person's own two folders."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from oodlib.cli.main import app
from oodlib.concepts import Concepts
from oodlib.datasets import emojishift
from oodlib.detectors import get_detector
from oodlib.evaluation.metrics import ood_metrics
from oodlib.evaluation.scoring import score
from oodlib.feature_detectors import on_concepts
from oodlib.guard.compare import compare
from oodlib.prompts.sets import templates
from oodlib.report.projection import coordinates

ROOT = Path(__file__).parents[2]
WORDS = ["hammer", "bottle", "car", "rocket", "house", "glasses"]


@pytest.fixture(autouse=True)
def _one_model(pocket, monkeypatch):
    """What runs in this process shares the model that is loaded already."""
    monkeypatch.setattr("oodlib.guard.compare.load_encoder", lambda *_, **__: pocket)


@pytest.fixture
def own(tmp_path):
    """Twelve drawings as a person has them: two folders of classes, and one of other things."""
    manifest = emojishift.load()
    home = manifest.table["hand"] == "twemoji"
    for group, folder in (("animal-mammal", "in/mammal"), ("food-fruit", "in/fruit"), ("tool", "out")):
        (tmp_path / folder).mkdir(parents=True)
        for path in manifest.select(home & (manifest.table["subgroup"] == group)).paths()[:4]:
            shutil.copy(path, tmp_path / folder)
    return tmp_path


@pytest.fixture
def two_detectors(monkeypatch):
    """Instead of all of them, where a test is about what surrounds them."""
    made = {"mcm": get_detector("mcm"), "knn": on_concepts("knn")}
    monkeypatch.setattr("oodlib.guard.compare._detectors", lambda labelled: made)


@pytest.mark.slow
def test_in_a_pipe_there_is_data_on_stdout_and_sentences_on_stderr(own):
    (own / "out" / "broken.png").write_bytes(b"")
    options = ["--format", "json", "--resamples", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "oodlib.cli", "compare", "in", "out", "--outliers", *WORDS, *options],
        cwd=own,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["detector"]: row for row in json.loads(done.stdout)}
    assert {"mcm", "ole", "unknown", "clipn_atd", "ada_neg", "knn", "fdbd", "ash"} <= rows.keys()
    assert rows["ole"]["auroc"] > 0.8
    assert all(row["auroc_low"] <= row["auroc"] <= row["auroc_high"] for row in rows.values())
    assert rows["ada_neg"]["transductive"]
    said = done.stderr.splitlines()
    assert re.search(r"\b4 .*inside.*\b4 outside.*\b20 .*resamples", said[-1])
    assert all(line.startswith("note: ") for line in said[:-1]), done.stderr
    assert any("left out 1" in line and "broken.png" in line for line in said)


def test_numbers_are_those_of_a_computation_by_hand(own, pocket):
    comparison = compare(own / "in", own / "out", outliers=WORDS, n_boot=10)
    assert comparison.pictures.groupby(["set", "label", "part"]).size().to_dict() == {
        ("inside", "fruit", "fitted"): 2,
        ("inside", "fruit", "test"): 2,
        ("inside", "mammal", "fitted"): 2,
        ("inside", "mammal", "test"): 2,
        ("outside", "", "test"): 4,
    }
    concepts = Concepts.from_encoder(pocket, ["fruit", "mammal"], templates=templates("drawings"))
    scores = get_detector("mcm").fit(concepts).score_samples(comparison.features).numpy()
    test, within = comparison.pictures["part"] == "test", comparison.pictures["set"] == "inside"
    expected = ood_metrics(scores[test & within], scores[test & ~within])
    found = comparison.results[comparison.results["detector"] == "mcm"].set_index("metric")["value"]
    for metric in ("auroc", "fpr95", "fpr95_ood"):
        assert found[metric] == pytest.approx(expected[metric], abs=1e-6)
    assert comparison.notes == (), "four rows to learn from are enough for every method"


def test_a_method_with_words_of_its_own_takes_those_that_are_passed_as_in_detect(own, monkeypatch):
    """The unknown candidate kept its two words, whatever a person passed."""
    used = []
    monkeypatch.setattr("oodlib.guard.compare._detectors", lambda **_: {"unknown": get_detector("unknown")})
    monkeypatch.setattr(
        "oodlib.guard.compare.score",
        lambda concepts, *rest, **more: used.append(concepts.outlier_names) or score(concepts, *rest, **more),
    )
    compare(own / "in", own / "out", outliers=WORDS, n_boot=10)
    assert used == [tuple(WORDS)]


def test_few_drawings_of_six_things_are_enough(tmp_path):
    """24 drawings of six things and 12 others: with 50 neighbours kNN's AUROC was 0.61, and Mahalanobis' 0.85."""
    table = emojishift.load()
    hands = list(dict.fromkeys(table.table["hand"]))[:4]
    for folder, labels in (
        ("in", ["tiger", "banana", "bicycle", "rocket", "key", "hammer"]),
        ("out", ["umbrella", "glasses", "guitar"]),
    ):
        for label in labels:
            target = tmp_path / folder / (label if folder == "in" else "")
            target.mkdir(parents=True, exist_ok=True)
            for hand in hands:
                chosen = table.select(((table.table["hand"] == hand) & (table.table["label"] == label)).to_numpy())
                for path in chosen.paths()[:1]:
                    shutil.copy(path, target / f"{label}-{hand}.png")
    comparison = compare(tmp_path / "in", tmp_path / "out", outliers=WORDS, n_boot=10)
    area = comparison.results[comparison.results["metric"] == "auroc"].set_index("detector")["value"]
    for name in ("knn", "mahalanobis", "relative_mahalanobis", "nnguide", "residual", "vim"):
        assert area[name] > 0.8, dict(area)


def test_a_csv_says_the_same_as_folders(own, two_detectors):
    lines = [f"in/{path.parent.name}/{path.name},{path.parent.name}" for path in sorted(own.glob("in/*/*.png"))]
    (own / "mine.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    from_folders = compare(own / "in", own / "out", outliers=WORDS, n_boot=10).results
    from_csv = compare(own / "mine.csv", own / "out", outliers=WORDS, n_boot=10).results
    pd.testing.assert_frame_equal(from_folders, from_csv)


def test_names_without_folders_make_all_pictures_the_test(own):
    for path in own.glob("in/*/*.png"):
        path.rename(own / "in" / f"{path.parent.name}-{path.name}")
    comparison = compare(own / "in", own / "out", labels=["mammal", "fruit"], outliers=WORDS, n_boot=10)
    assert set(comparison.pictures["part"]) == {"test"}
    assert set(comparison.results["n_id"]) == {8}
    assert "mcm" in set(comparison.results["detector"])
    assert "knn" not in set(comparison.results["detector"])
    assert any(note.startswith("detectors on features are left out") for note in comparison.notes)


def test_a_picture_in_both_folders_is_reported(own, two_detectors):
    shutil.copy(next(own.glob("in/fruit/*.png")), own / "out" / "again.png")
    notes = compare(own / "in", own / "out", outliers=WORDS, n_boot=10).notes
    assert any(note.startswith("1 picture(s) lie in both folders") for note in notes)


def test_bad_input_is_one_sentence(own):
    def refused(*arguments):
        result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        return result.stderr

    inside, outside = own / "in", own / "out"
    assert "has no folder for a class: sort the pictures into one for each" in refused(outside, inside)
    shutil.copytree(inside / "fruit", own / "one" / "fruit")
    assert "has one class only (fruit)" in refused(own / "one", outside)
    (own / "empty").mkdir()
    assert f"there is no picture in {own / 'empty'}: name files" in refused(inside, own / "empty")
    assert "is no folder" in refused(inside, own / "gone")
    assert "there is no format 'html': choose one of table, json, csv" in refused(inside, outside, "--format", "html")
    shutil.copy(next(outside.iterdir()), inside / "loose.png")
    assert "1 pictures in" in refused(inside, outside)
    (inside / "loose.png").unlink()
    for path in outside.iterdir():
        path.write_bytes(b"no picture")
    assert "0 picture(s) outside can be read: pass two at least" in refused(inside, outside, "--outliers", *WORDS)


def test_results_coordinates_and_map_are_kept(own, two_detectors, monkeypatch):
    # UMAP compiles for a quarter of a minute; of so few pictures, too, its map is tested where it is made
    monkeypatch.setattr("oodlib.report.projection.coordinates", lambda features: features.numpy()[:, :2])
    target = own / "kept"
    result = CliRunner().invoke(
        app,
        ["compare", str(own / "in"), str(own / "out"), "--outliers", *WORDS, "--resamples", "10", "-o", str(target)],
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0].split() == ["detector", "AUROC", "(%)", "fpr95", "(%)"]
    assert sorted(path.name for path in target.iterdir()) == [
        *("comparison.csv", "comparison.parquet", "map.csv", "map.parquet", "map.png")
    ]
    placed = pd.read_parquet(target / "map.parquet")
    assert len(placed) == 12
    assert placed[["x", "y"]].notna().all(axis=None)
    assert len(pd.read_parquet(target / "comparison.parquet")) == len(pd.read_csv(target / "comparison.csv"))


def test_without_a_map_everything_else_is_printed_and_written(own, two_detectors, monkeypatch):
    """Three different pictures have no map; here the map fails as it does then, whatever the pictures."""
    real = coordinates
    monkeypatch.setattr("oodlib.report.projection.coordinates", lambda features: real(features[:3]))
    odd = os.fsdecode(os.fsencode(own) + b"/out/caf\xe9\x1b.png")
    shutil.copy(next(own.glob("out/*.png")), odd)
    target = own / "kept"
    target.mkdir()
    (target / "map.png").write_bytes(b"of other pictures")
    words = ["compare", str(own / "in"), str(own / "out"), "--outliers", *WORDS, "--resamples", "10"]
    result = CliRunner().invoke(app, [*words, "-o", str(target)])
    assert result.exit_code == 0, result.output
    assert "note: the map is left out: a map of 3 different pictures says nothing" in result.stderr
    assert len(result.stdout.splitlines()) == 3
    assert sorted(path.name for path in target.iterdir()) == ["comparison.csv", "comparison.parquet"]
    (own / "file").write_text("")
    monkeypatch.setattr("oodlib.guard.compare.compare", lambda *_, **__: pytest.fail("has begun"))
    refused = CliRunner().invoke(app, [*words, "-o", str(own / "file")])
    assert refused.exit_code == 1
    assert "it is a file" in refused.stderr


def refusal(*arguments):
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("error: ")
    return result.stderr


@pytest.mark.parametrize("names", [("train", "val"), ("Test", "images")])
def test_parts_of_a_data_set_are_not_taken_for_classes(own, names):
    for new, old in zip(names, ("mammal", "fruit"), strict=True):
        (own / "in" / old).rename(own / "in" / new)
    assert "names a part of a data set and no class: pass the folder" in refusal(own / "in", own / "out")


@pytest.mark.parametrize("label", ["-1", "nan", "None", "-100", "unknown"])
def test_a_label_for_no_class_in_a_column_is_refused(own, label):
    lines = [f"in/{path.parent.name}/{path.name},{path.parent.name}" for path in sorted(own.glob("in/*/*.png"))]
    lines[0] = lines[0].replace(",fruit", f",{label}")
    (own / "mine.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
    assert f"1 picture(s) in {own / 'mine.csv'} have the label {label!r}, which names no class" in refusal(
        own / "mine.csv", own / "out"
    )


def test_a_table_that_would_change_a_label_is_refused_by_its_line(own):
    (own / "mine.csv").write_text("path,label\nin/a.png,door, red\n")
    assert f"line 2 of {own / 'mine.csv'} has 3 cells for 2 columns" in refusal(own / "mine.csv", own / "out")


def test_classes_without_pictures_and_folders_of_systems_do_not_disturb(own, two_detectors):
    (own / "in" / "bird").mkdir()
    for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
        shutil.copytree(own / "out", own / "in" / name)
    (own / "in" / "fish").mkdir()
    (own / "in" / "fish" / "1.png").write_bytes(b"no picture")
    comparison = compare(own / "in", own / "out", labels=None, outliers=WORDS, n_boot=10)
    assert set(comparison.pictures["label"]) == {"mammal", "fruit", ""}
    notes = " | ".join(comparison.notes)
    assert "no class, because there is no picture in it: bird" in notes
    assert "no picture of 'fish' can be read" in notes


def test_labels_may_be_part_of_a_column(own, two_detectors):
    names = pd.Series(["tool", "mammal", "fruit"])[1:]
    assert set(compare(own / "in", own / "out", labels=names, outliers=WORDS, n_boot=10).pictures["part"]) == {
        *("fitted", "test")
    }


@pytest.fixture
def mixed(tmp_path):
    """Drawings of two subgroups as the classes, and a folder in which half of the pictures are other things."""
    manifest = emojishift.load()
    table, hands = manifest.table, manifest.table["hand"].isin(["twemoji", "fluent-emoji"])
    (tmp_path / "mixed").mkdir()
    for group, name in (("animal-mammal", "mammal"), ("food-fruit", "fruit")):
        paths = manifest.select(hands & (table["subgroup"] == group)).paths()[:36]
        (tmp_path / "in" / name).mkdir(parents=True)
        for k, path in enumerate(paths):
            shutil.copy(path, tmp_path / ("in/" + name if k % 3 else "mixed") / f"{path.parent.name}-{path.name}")
    for path in manifest.select(hands & (table["group"] == "symbols")).paths()[:24]:
        shutil.copy(path, tmp_path / "mixed" / f"{path.parent.name}-{path.name}")
    return tmp_path


def test_without_labels_detectors_are_ranked_and_the_share_is_told(mixed, two_detectors, monkeypatch):
    monkeypatch.chdir(mixed)
    options = ["--unlabelled", "--outliers", *WORDS, "--format", "json", "--output", "ranking"]
    done = CliRunner().invoke(app, ["compare", "in", "mixed", *options])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {row["detector"] for row in rows} == {"mcm", "knn"}
    for row in rows:
        assert 0 <= row["auroc_low"] <= row["auroc_high"] <= 1
    assert re.search(
        r"of 48 pictures without labels about \d+ % are out|no detector tells these 48 pictures", done.stderr
    )
    assert "are few" in done.stderr
    assert "an estimate, not a test" in done.stderr
    assert list(pd.read_csv("ranking/unlabelled.csv")["detector"]) == [row["detector"] for row in rows]
    assert Path("ranking/map.png").is_file()


def test_without_labels_a_table_for_a_person(mixed, two_detectors, monkeypatch):
    monkeypatch.chdir(mixed)
    done = CliRunner().invoke(app, ["compare", "in", "mixed", "--unlabelled", "--outliers", *WORDS])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["detector", "estimated", "AUROC", "(%)"]
    assert len(lines) == 3
