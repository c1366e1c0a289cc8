import json

import numpy as np
import pandas as pd
import pytest

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import METRICS, bootstrap_metrics, ood_metrics
from oodlib.evaluation.results import COLUMNS, KEY
from oodlib.evaluation.scoring import pair_name, score
from oodlib.evaluation.tables import tabulate

EXPECTED_COLUMNS = (
    "profile encoder tuning shots id_set ood_set ood_kind detector parameters transductive metric value low high n_id "
    "n_ood seed run"
)


def test_the_table_is_tidy(table, kinds):
    assert tuple(table.columns) == tuple(EXPECTED_COLUMNS.split()) == COLUMNS
    assert not table.duplicated(list(KEY)).any()
    bounded = table["metric"].str.removesuffix("_minus_mcm") != "detection_accuracy"
    assert not table[bounded].isna().any().any()
    assert table.loc[~bounded, ["low", "high"]].isna().all().all(), "its bootstrap would not hold"
    numbers_each = len(METRICS)
    assert len(table) == 2 * (3 + 2) * numbers_each + 1
    for column, value in (("profile", "pocket"), ("encoder", "tiny"), ("tuning", "coop"), ("shots", 4), ("run", "r1")):
        assert (table[column] == value).all()
    assert set(zip(table["ood_set"], table["ood_kind"], strict=True)) == {*kinds.items(), ("", "")}
    assert (table.loc[bounded, "low"] <= table.loc[bounded, "high"]).all()


def test_values_and_intervals_are_those_of_the_metrics(table, scores):
    pairs = {name: (sets["animals"], sets["objects"]) for name, sets in scores.items()}
    boot = bootstrap_metrics(pairs, n_boot=100, seed=5)
    for name in scores:
        rows = table[(table["detector"] == name) & (table["ood_set"] == "objects")].set_index("metric")
        assert rows.loc[list(METRICS), "value"].to_dict() == ood_metrics(*pairs[name])
        for metric, (low, high) in boot.interval(name).items():
            np.testing.assert_equal([rows.loc[metric, "low"], rows.loc[metric, "high"]], [low, high])
        assert set(rows["n_id"]) == {30}
        assert set(rows["n_ood"]) == {20}
    difference = table.query("detector == 'energy' and ood_set == 'objects' and metric == 'fpr95_minus_mcm'").iloc[0]
    expected = boot.difference("energy", "mcm")["fpr95"]
    assert tuple(difference[["value", "low", "high"]]) == expected
    assert table.query("detector == 'mcm' and metric.str.endswith('_minus_mcm')").empty


def test_differences_to_two_detectors_are_those_to_each(scores, detectors, kinds):
    about = {"id_set": "animals", "kinds": kinds, "n_boot": 20}
    both = tabulate(scores, detectors, baseline=("mcm", "energy"), **about)
    for name in ("mcm", "energy"):
        alone = tabulate(scores, detectors, baseline=name, **about)
        rows = both[both["metric"].isin(alone["metric"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, alone)


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


def test_rows_say_which_detector_is_transductive(with_words, sets, kinds):
    detectors = ["mcm", "ada_neg"]
    found = score(with_words, detectors, sets, id_set="animals")
    correct = np.ones(30, dtype=bool)
    table = tabulate(found, detectors, id_set="animals", kinds=kinds, baseline="mcm", correct=correct, n_boot=10)
    assert table.groupby("detector")["transductive"].unique().map(list).to_dict() == {
        "ada_neg": [True],
        "argmax": [False],
        "mcm": [False],
    }
    value = table.query("detector == 'ada_neg' and ood_set == 'objects' and metric == 'auroc'")["value"].item()
    assert value == ood_metrics(found["ada_neg"][pair_name("animals", "objects")], found["ada_neg"]["objects"])["auroc"]
    assert set(table["n_id"]) == {30}


def test_scores_of_a_transductive_detector_are_of_pairs(sets, kinds):
    apart = {"ada_neg": {name: np.arange(len(features)) for name, features in sets.items()}}
    with pytest.raises(OodlibError, match="ada_neg has no scores of the set 'animals beside objects'"):
        tabulate(apart, "ada_neg", id_set="animals", kinds=kinds, n_boot=2)


def test_the_same_seed_gives_the_same_table(table, scores, detectors, kinds):
    again, other = (
        tabulate(scores, detectors, id_set="animals", kinds=kinds, n_boot=100, seed=seed)[["value", "low", "high"]]
        for seed in (5, 6)
    )
    kept = table[~table["metric"].str.contains("minus|id_accuracy")].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, kept[["value", "low", "high"]])
    assert not again.equals(other)


def test_says_what_is_wrong(scores, detectors, kinds):
    def call(**changes):
        arguments = {"id_set": "animals", "kinds": kinds, "n_boot": 2} | changes
        return tabulate(arguments.pop("scores", scores), arguments.pop("detectors", detectors), **arguments)

    with pytest.raises(OodlibError, match=r"mcm .*'plants': .*animals, objects, siblings"):
        call(kinds={"plants": "far"})
    with pytest.raises(OodlibError, match=r"'objects' .*'remote': choose .*far, near, hard, covariate"):
        call(kinds={"objects": "remote"})
    with pytest.raises(OodlibError, match=r"baseline 'msp' .*: choose .*mcm, mcm-half, energy"):
        call(baseline="msp")
    with pytest.raises(OodlibError, match="do not go with the detectors"):
        call(detectors=["mcm"])
    with pytest.raises(OodlibError, match="unknown columns"):
        call(encode="tiny")
    with pytest.raises(OodlibError, match="correct must be an array of True and False"):
        call(correct=[0.5, 1.0])


def test_a_mean_has_rows_of_its_own(scores, detectors, kinds):
    means = {"mean of both": ["objects", "siblings"], "mean of one": ["siblings"]}
    found = tabulate(scores, detectors, id_set="animals", kinds=kinds, baseline="mcm", means=means, n_boot=50, seed=5)
    wide = found.pivot(index=["detector", "metric"], columns="ood_set", values="value")
    np.testing.assert_allclose(wide["mean of both"], wide[["objects", "siblings"]].mean(axis=1), atol=1e-15)
    sizes = found.drop_duplicates("ood_set").set_index("ood_set")[["ood_kind", "n_id", "n_ood"]]
    assert sizes.loc["mean of both"].tolist() == ["far", 30, 45], "of the kind of its first set"
    for column in ("value", "low", "high"):
        of_set = found.pivot(index=["detector", "metric"], columns="ood_set", values=column)
        np.testing.assert_array_equal(of_set["mean of one"], of_set["siblings"])
    assert not found.duplicated(list(KEY)).any()


def test_the_interval_of_a_mean_is_that_of_a_bootstrap_written_out(scores, detectors, kinds):
    found = tabulate(
        scores, detectors, id_set="animals", kinds=kinds, means={"both": ["objects", "siblings"]}, n_boot=60, seed=5
    )
    sets = scores["mcm"]
    id_stream, *streams = np.random.default_rng(5).spawn(3)
    inside = [sets["animals"][draw] for draw in id_stream.integers(30, size=(60, 30))]
    areas = []
    for stream, name in zip(streams, kinds, strict=True):
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
        ({"m": ["objects", "people"]}, "the mean 'm' needs the set 'people', .*objects, siblings"),
        ({"objects": ["siblings"]}, "the mean 'objects' has the name of a set"),
    ],
)
def test_a_mean_that_cannot_be_is_named(scores, detectors, means, message, kinds):
    with pytest.raises(OodlibError, match=message):
        tabulate(scores, detectors, id_set="animals", kinds=kinds, means=means, n_boot=10)
