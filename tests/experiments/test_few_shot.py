import numpy as np
import pytest

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import ood_metrics
from oodlib.evaluation.results import COLUMNS, write_results
from oodlib.experiments.few_shot import Study

N, M = 60, 40


def scores(shift, seed):
    rng = np.random.default_rng(seed)
    return {"mcm": {"id": rng.normal(shift, 1, N), "far": rng.normal(0, 1, M), "near": rng.normal(shift / 2, 1, M)}}


@pytest.fixture
def study():
    study = Study("id", {"id": range(N), "far": range(M), "near": range(M)}, {"far": "far", "near": "near"}, n_boot=200)
    study.add("none", 0, 0, np.arange(N) % 2 == 0, scores(1, 0))
    for seed in range(3):
        study.add("coop", 1, seed, np.arange(N) % 3 > 0, scores(2, seed))
    return study


def test_values_are_means_over_seeds(study):
    drawn = [scores(2, seed)["mcm"] for seed in range(3)]
    expected = np.mean([ood_metrics(found["id"], found["far"])["auroc"] for found in drawn])
    value, low, high = study.auroc("coop", 1, "mcm", ["far"])
    assert value == pytest.approx(expected)
    assert low < value < high
    assert study.accuracy("coop", 1)[0] == pytest.approx(2 / 3)
    assert study.seeds("coop", 1) == 3


def test_a_mean_over_sets_is_the_mean_of_the_sets(study):
    both = study.auroc("coop", 1, "mcm", ["far", "near"])[0]
    assert both == pytest.approx(np.mean([study.auroc("coop", 1, "mcm", [part])[0] for part in ("far", "near")]))


def test_differences_are_paired_by_pictures(study):
    value, low, high = study.accuracy("coop", 1, over_zero_shot=True)
    assert value == pytest.approx(2 / 3 - 1 / 2)
    assert low < value < high
    same = study.auroc("none", 0, "mcm", ["far"], over=("none", 0, "mcm"))
    assert same == (0, 0, 0)


def test_a_gain_is_the_mean_of_paired_differences(study):
    coop, none = ("coop", 1, "mcm"), ("none", 0, "mcm")
    alone = study.auroc(*coop, ["far"], over=none)
    assert study.gain([(coop, none)], ["far"]) == alone
    assert study.gain([(coop, none), (none, none)], ["far"]) == pytest.approx([number / 2 for number in alone])
    assert study.accuracy_gain([(coop[:2], none[:2])]) == study.accuracy("coop", 1, over_zero_shot=True)


def test_more_seeds_that_disagree_widen_the_interval():
    alone = Study("id", {"id": range(N), "far": range(M)}, {"far": "far"}, n_boot=500)
    alone.add("coop", 1, 0, np.ones(N), scores(1, 0))
    apart = Study("id", {"id": range(N), "far": range(M)}, {"far": "far"}, n_boot=500)
    for seed, shift in enumerate((0.2, 1, 3)):
        apart.add("coop", 1, seed, np.ones(N), scores(shift, 0))
    widths = [np.diff(study.auroc("coop", 1, "mcm", ["far"])[1:])[0] for study in (alone, apart)]
    assert widths[1] > 1.5 * widths[0]


def test_pictures_of_one_concept_are_drawn_together():
    """Ten copies of every picture say nothing new: the interval must stay as wide as without them."""
    once, rng = scores(1, 0)["mcm"], np.random.default_rng(1)
    right = rng.random(N) < 0.5
    widths = []
    for copies in (1, 10):
        shown = {"id": np.repeat(np.arange(N), copies), "far": np.repeat(np.arange(M), copies)}
        study = Study("id", shown, {"far": "far"}, n_boot=2000)
        study.add("none", 0, 0, np.repeat(right, copies), {"mcm": {k: np.repeat(v, copies) for k, v in once.items()}})
        found = study.accuracy("none", 0), study.auroc("none", 0, "mcm", ["far"])
        widths.append([high - low for _, low, high in found])
    np.testing.assert_allclose(*widths, rtol=0.1)


def test_spreads_tell_the_choice_of_score_from_that_of_the_method():
    """Two scores of which one is useless, two methods that are equal: the score decides, and by how much is known."""
    study = Study("id", {"id": range(N), "far": range(M)}, {"far": "far"}, n_boot=200)
    good, useless = scores(3, 0)["mcm"], {"id": np.zeros(N), "far": np.zeros(M)}
    for method in ("none", "coop"):
        study.add(method, 0, 0, np.ones(N), {"mcm": good, "msp": useless})
    found = study.spreads([("none", 0), ("coop", 0)], ["mcm", "msp"], ["far"])
    assert found["score"][0] == pytest.approx(study.auroc("none", 0, "mcm", ["far"])[0] - 0.5)
    assert found["method"] == (0, 0, 0)
    assert found["difference"] == found["score"]
    assert found["score"][1] > 0.3


def test_rows_have_the_columns_of_all_results(study, tmp_path):
    table = study.table({"mcm": {"temperature": 1.0}}, profile="pocket", encoder="pocket", run="now")
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * (1 + 2)
    assert set(table["metric"]) == {"id_accuracy", "auroc"}
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    write_results(table, tmp_path, "few_shot")


def test_what_does_not_fit_is_named(study):
    with pytest.raises(OodlibError, match="coop with 1 shots and seed 0 is in the study already"):
        study.add("coop", 1, 0, np.ones(N), scores(1, 0))
    with pytest.raises(OodlibError, match="one mark for each picture of id"):
        study.add("coop", 2, 0, np.ones(N + 1), scores(1, 0))


def test_a_method_that_names_nothing_has_an_auroc_alone():
    pairs = Study("id", {"id": range(N), "far": range(M), "near": range(M)}, {"far": "far", "near": "near"}, n_boot=50)
    pairs.add("none", 0, 0, None, scores(1, 0))
    assert 0.5 < pairs.auroc("none", 0, "mcm", ["far"])[0] < 1
    assert set(pairs.table({"mcm": {}})["metric"]) == {"auroc"}
    with pytest.raises(OodlibError, match="none names no pictures"):
        pairs.accuracy("none", 0)
