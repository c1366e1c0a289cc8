import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.detectors.mcm import MCM
from oodlib.errors import OodlibError
from oodlib.evaluation.evaluate import classify, name_detectors, of_pair, pair_name, score, tabulate
from oodlib.evaluation.metrics import METRICS, bootstrap_metrics, ood_metrics
from oodlib.evaluation.results import COLUMNS, KEY, read_results, write_results

EXPECTED_COLUMNS = (
    "profile encoder tuning shots id_set ood_set ood_kind detector parameters transductive metric value low high n_id "
    "n_ood seed run"
)


def random_features(n, seed):
    return normalize(torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.fixture(scope="module")
def concepts():
    return Concepts(names=["a", "b", "c"], text=random_features(3, 0))


@pytest.fixture(scope="module")
def sets(concepts):
    near_text = normalize(concepts.text.repeat(10, 1) + 0.8 * random_features(30, 1), dim=1)
    return {"animals": near_text, "objects": random_features(20, 2), "siblings": random_features(25, 3)}


@pytest.fixture(scope="module")
def detectors():
    return {"mcm": MCM(), "mcm-half": MCM(0.5), "energy": get_detector("energy")}


@pytest.fixture(scope="module")
def scores(concepts, detectors, sets):
    return score(concepts, detectors, sets)


KINDS = {"objects": "far", "siblings": "near"}


@pytest.fixture(scope="module")
def table(scores, detectors):
    setting = {"profile": "pocket", "encoder": "tiny", "tuning": "coop", "shots": 4, "run": "r1"}
    correct = np.array([True] * 24 + [False] * 6)
    return tabulate(
        scores, detectors, id_set="animals", kinds=KINDS, baseline="mcm", correct=correct, n_boot=100, seed=5, **setting
    )


def test_scores_are_what_the_detectors_say(concepts, detectors, sets, scores):
    assert list(scores) == ["mcm", "mcm-half", "energy"]
    for name, detector in detectors.items():
        for set_name, features in sets.items():
            expected = type(detector)(**detector.get_params()).fit(concepts).score_samples(features)
            np.testing.assert_array_equal(scores[name][set_name], expected)
    assert not hasattr(detectors["mcm"], "text_")  # a copy was fitted


def test_detectors_may_be_given_by_name(concepts, sets):
    by_name = score(concepts, ["mcm", get_detector("energy", temperature=1.0)], sets)
    assert list(by_name) == ["mcm", "energy"]
    assert list(score(concepts, "mcm", sets)) == ["mcm"]
    with pytest.raises(OodlibError, match="Two detectors share a name: pass a mapping"):
        name_detectors([MCM(), MCM(0.5)])


def test_the_table_is_tidy(table):
    assert tuple(table.columns) == tuple(EXPECTED_COLUMNS.split()) == COLUMNS
    assert not table.duplicated(list(KEY)).any()
    assert not table.isna().any().any()
    numbers_each = len(METRICS)
    assert len(table) == 2 * (3 + 2) * numbers_each + 1
    for column, value in (("profile", "pocket"), ("encoder", "tiny"), ("tuning", "coop"), ("shots", 4), ("run", "r1")):
        assert (table[column] == value).all()
    assert set(zip(table["ood_set"], table["ood_kind"], strict=True)) == {*KINDS.items(), ("", "")}
    assert (table["low"] <= table["high"]).all()


def test_values_and_intervals_are_those_of_the_metrics(table, scores):
    pairs = {name: (sets["animals"], sets["objects"]) for name, sets in scores.items()}
    boot = bootstrap_metrics(pairs, n_boot=100, seed=5)
    for name in scores:
        rows = table[(table["detector"] == name) & (table["ood_set"] == "objects")].set_index("metric")
        assert rows.loc[list(METRICS), "value"].to_dict() == ood_metrics(*pairs[name])
        for metric, (low, high) in boot.interval(name).items():
            assert (rows.loc[metric, "low"], rows.loc[metric, "high"]) == (low, high)
        assert set(rows["n_id"]) == {30}
        assert set(rows["n_ood"]) == {20}
    difference = table.query("detector == 'energy' and ood_set == 'objects' and metric == 'fpr95_minus_mcm'").iloc[0]
    expected = boot.difference("energy", "mcm")["fpr95"]
    assert tuple(difference[["value", "low", "high"]]) == expected
    assert table.query("detector == 'mcm' and metric.str.endswith('_minus_mcm')").empty


def test_a_detector_can_be_made_again_from_its_row(table, detectors):
    for name, detector in detectors.items():
        (parameters,) = set(table.loc[table["detector"] == name, "parameters"])
        assert json.loads(parameters) == detector.get_params()


def test_accuracy_is_one_row(table):
    (row,) = table[table["metric"] == "id_accuracy"].to_dict("records")
    assert (row["detector"], row["ood_set"], row["parameters"], row["n_id"], row["n_ood"]) == (
        "argmax",
        "",
        "{}",
        30,
        0,
    )
    assert row["value"] == 0.8
    assert 0.6 < row["low"] < 0.8 < row["high"] < 1


@pytest.fixture(scope="module")
def with_words(concepts):
    text = random_features(12, 4)
    return Concepts(concepts.names, concepts.text, [f"word {i}" for i in range(12)], text)


@pytest.mark.parametrize("name", ["clip_scope", "ada_neg"])
def test_pairs_are_mixed_into_one_stream_and_put_back(with_words, sets, name):
    found = score(with_words, name, sets, id_set="animals", seed=3)[name]
    assert set(found) == {"animals beside objects", "objects", "animals beside siblings", "siblings"}
    order = np.random.default_rng(3).permutation(50)
    stream = torch.cat([sets["animals"], sets["objects"]])[order]
    mixed = get_detector(name).fit(with_words).score_samples(stream)
    inside, outside = of_pair(found, "animals", "objects")
    np.testing.assert_array_equal(np.concatenate([inside, outside])[order], mixed)


def test_the_seed_fixes_the_order_of_the_stream(with_words, sets):
    first, again, other = (
        score(with_words, "clip_scope", sets, id_set="animals", seed=seed)["clip_scope"]["objects"]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_say_which_detector_is_transductive(with_words, sets):
    detectors = ["mcm", "ada_neg"]
    found = score(with_words, detectors, sets, id_set="animals")
    correct = np.ones(30, dtype=bool)
    table = tabulate(found, detectors, id_set="animals", kinds=KINDS, baseline="mcm", correct=correct, n_boot=10)
    assert table.groupby("detector")["transductive"].unique().map(list).to_dict() == {
        "ada_neg": [True],
        "argmax": [False],
        "mcm": [False],
    }
    value = table.query("detector == 'ada_neg' and ood_set == 'objects' and metric == 'auroc'")["value"].item()
    assert value == ood_metrics(found["ada_neg"][pair_name("animals", "objects")], found["ada_neg"]["objects"])["auroc"]
    assert set(table["n_id"]) == {30}


def test_a_transductive_detector_must_know_the_id_set(with_words, sets):
    with pytest.raises(OodlibError, match=r"ada_neg looks at the test pictures as a set: tell score\(..., id_set="):
        score(with_words, "ada_neg", sets)
    apart = {"ada_neg": {name: np.arange(len(features)) for name, features in sets.items()}}
    with pytest.raises(OodlibError, match="ada_neg has no scores of the set 'animals beside objects'"):
        tabulate(apart, "ada_neg", id_set="animals", kinds=KINDS, n_boot=2)


def test_classify_takes_the_best_match(concepts):
    assert classify(concepts, concepts.text[[2, 0, 1, 1]]).tolist() == [2, 0, 1, 1]


def test_the_same_seed_gives_the_same_table(table, scores, detectors):
    again, other = (
        tabulate(scores, detectors, id_set="animals", kinds=KINDS, n_boot=100, seed=seed)[["value", "low", "high"]]
        for seed in (5, 6)
    )
    kept = table[~table["metric"].str.contains("minus|id_accuracy")].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, kept[["value", "low", "high"]])
    assert not again.equals(other)


def test_says_what_is_wrong(scores, detectors):
    def call(**changes):
        arguments = {"id_set": "animals", "kinds": KINDS, "n_boot": 2} | changes
        return tabulate(arguments.pop("scores", scores), arguments.pop("detectors", detectors), **arguments)

    with pytest.raises(OodlibError, match="mcm has no scores of the set 'plants': it has animals, objects, siblings"):
        call(kinds={"plants": "far"})
    with pytest.raises(OodlibError, match="'objects' is of kind 'remote': choose from far, near, hard, covariate"):
        call(kinds={"objects": "remote"})
    with pytest.raises(OodlibError, match="the baseline 'msp' has no scores: choose from mcm, mcm-half, energy"):
        call(baseline="msp")
    with pytest.raises(OodlibError, match="do not go with the detectors"):
        call(detectors=["mcm"])
    with pytest.raises(OodlibError, match="unknown columns"):
        call(encode="tiny")
    with pytest.raises(OodlibError, match="correct must be an array of True and False"):
        call(correct=[0.5, 1.0])


def test_results_come_back_as_they_went(table, tmp_path):
    path = write_results(table, tmp_path / "results")
    assert path == tmp_path / "results" / "detection.parquet"
    pd.testing.assert_frame_equal(read_results(tmp_path / "results"), table)
    pd.testing.assert_frame_equal(
        pd.read_csv(path.with_suffix(".csv"), keep_default_na=False), table, check_dtype=False, rtol=1e-15
    )
    assert sorted(p.name for p in path.parent.iterdir()) == ["detection.csv", "detection.parquet"]


def test_a_file_holds_only_what_was_written_last(table, tmp_path):
    write_results(table, tmp_path)
    write_results(table[:5], tmp_path)
    assert len(read_results(tmp_path)) == 5


def test_the_file_written_last_counts(table, tmp_path):
    newer = table.iloc[:3].assign(value=0.5, run="r2")
    first, second = write_results(table, tmp_path, "b"), write_results(newer, tmp_path, "a")
    for order, expected in (((first, second), 3), ((second, first), 0)):
        for time, path in enumerate(order):
            os.utime(path, (time, time))
        merged = read_results(tmp_path)
        assert len(merged) == len(table)
        assert (merged["run"] == "r2").sum() == expected


def test_a_write_that_fails_leaves_the_old_file(table, tmp_path, monkeypatch):
    path = write_results(table, tmp_path)
    before = path.read_bytes()

    def half(self, target, **_):
        target.write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", half)
    with pytest.raises(OodlibError, match="No space left on device"):
        write_results(table[:1], tmp_path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["detection.csv", "detection.parquet"]


def test_refuses_tables_that_are_not_results(table, tmp_path):
    with pytest.raises(OodlibError, match="A table of results has the columns profile"):
        write_results(table.drop(columns="seed"), tmp_path)
    with pytest.raises(OodlibError, match="3 results are given twice, the first is profile=pocket"):
        write_results(pd.concat([table, table[:3]]), tmp_path)
    with pytest.raises(OodlibError, match=r"There are no results in .*: run `make reproduce` first"):
        read_results(tmp_path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(OodlibError, match=r"broken.parquet is not a readable table of results: delete it"):
        read_results(tmp_path)


def test_a_mean_has_rows_of_its_own(scores, detectors):
    means = {"mean of both": ["objects", "siblings"], "mean of one": ["siblings"]}
    found = tabulate(scores, detectors, id_set="animals", kinds=KINDS, baseline="mcm", means=means, n_boot=50, seed=5)
    wide = found.pivot(index=["detector", "metric"], columns="ood_set", values="value")
    np.testing.assert_allclose(wide["mean of both"], wide[["objects", "siblings"]].mean(axis=1), atol=1e-15)
    sizes = found.drop_duplicates("ood_set").set_index("ood_set")[["ood_kind", "n_id", "n_ood"]]
    assert sizes.loc["mean of both"].tolist() == ["far", 30, 45], "of the kind of its first set"
    for column in ("value", "low", "high"):
        of_set = found.pivot(index=["detector", "metric"], columns="ood_set", values=column)
        np.testing.assert_array_equal(of_set["mean of one"], of_set["siblings"])
    assert not found.duplicated(list(KEY)).any()


def test_the_interval_of_a_mean_is_that_of_a_bootstrap_written_out(scores, detectors):
    found = tabulate(
        scores, detectors, id_set="animals", kinds=KINDS, means={"both": ["objects", "siblings"]}, n_boot=60, seed=5
    )
    sets = scores["mcm"]
    id_stream, *streams = np.random.default_rng(5).spawn(3)
    inside = [sets["animals"][draw] for draw in id_stream.integers(30, size=(60, 30))]
    areas = []
    for stream, name in zip(streams, KINDS, strict=True):
        n = len(sets[name])
        outside = [sets[name][draw] for draw in stream.integers(n, size=(60, n))]
        areas.append(
            [np.mean(i[:, None] > o) + np.mean(i[:, None] == o) / 2 for i, o in zip(inside, outside, strict=True)]
        )
    (row,) = found[
        (found["ood_set"] == "both") & (found["detector"] == "mcm") & (found["metric"] == "auroc")
    ].itertuples()
    np.testing.assert_allclose([row.low, row.high], np.quantile(np.mean(areas, axis=0), [0.025, 0.975]), rtol=1e-9)


@pytest.mark.parametrize(
    ("means", "message"),
    [
        ({"m": []}, "the mean 'm' is of no set"),
        ({"m": ["objects", "people"]}, "the mean 'm' needs the set 'people', which is not among objects, siblings"),
        ({"objects": ["siblings"]}, "the mean 'objects' has the name of a set"),
    ],
)
def test_a_mean_that_cannot_be_is_named(scores, detectors, means, message):
    with pytest.raises(OodlibError, match=message):
        tabulate(scores, detectors, id_set="animals", kinds=KINDS, means=means, n_boot=10)
