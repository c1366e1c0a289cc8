import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import fpr_at_recall, ood_metrics
from oodlib.evaluation.thresholds import Threshold, at_recall, best_balanced_accuracy, choose, conformal

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(scores, scores, st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_at_recall_is_the_cut_of_the_metrics(inside, outside, recall):
    cut = at_recall(inside, recall)
    accepted = np.mean(np.array(outside) >= cut)
    assert accepted == pytest.approx(fpr_at_recall(inside, outside, recall))


@given(scores, st.sampled_from([0.05, 0.5, 0.95, 1.0]))
def test_at_recall_is_the_largest_cut_that_keeps_so_many(inside, recall):
    cut, values = at_recall(inside, recall), np.array(inside)
    assert np.mean(values >= cut) >= recall
    assert all(np.mean(values >= larger) < recall for larger in values[values > cut])


@given(scores, scores)
def test_one_cut_is_best_for_balanced_accuracy_and_for_youdens_j(inside, outside):
    cut = best_balanced_accuracy(inside, outside)
    kept, caught = np.mean(np.array(inside) >= cut), np.mean(np.array(outside) < cut)
    assert (kept + caught) / 2 == pytest.approx(ood_metrics(inside, outside)["detection_accuracy"])
    truth = [1] * len(inside) + [0] * len(outside)
    false, true, _ = roc_curve(truth, inside + outside, drop_intermediate=False)
    assert kept + caught - 1 == pytest.approx((true - false).max())


def test_of_equal_cuts_the_lowest_keeps_the_most():
    assert best_balanced_accuracy([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 2.5, 2.5]) == 1.0


@pytest.mark.parametrize(("n", "error"), [(19, 0.05), (30, 0.05), (99, 0.1), (7, 0.29)])
def test_conformal_rejects_a_new_picture_as_rarely_as_promised(n, error):
    # heavy tails on purpose: the promise must not depend on the distribution
    draws = np.random.default_rng(0).standard_cauchy((20_000, n + 1))
    rejected = np.mean([row[-1] < conformal(row[:-1], error) for row in draws])
    exact = math.floor(error * (n + 1) + 1e-9) / (n + 1)
    assert abs(rejected - exact) < 4 * math.sqrt(exact * (1 - exact) / len(draws))
    assert exact <= error + 1e-12


def test_conformal_counts_with_the_number_as_typed():
    assert conformal(range(99), error=0.29) == 28.0  # 0.29 * 100 is a little less than 29 in floating point


@pytest.mark.parametrize(("error", "needed"), [(0.05, 19), (0.01, 99), (0.3, 3)])
def test_conformal_says_how_many_pictures_it_needs(error, needed):
    with pytest.raises(OodlibError, match=f"at least {needed},"):
        conformal(np.zeros(needed - 1), error)
    assert conformal(np.arange(needed), error) == 0.0


def test_choose_takes_numbers_rules_and_what_words_justify():
    assert choose("0.25") == Threshold(0.25, "number")
    assert choose("auto", id_scores=range(100)) == Threshold(5.0, "id95", 100) == choose("id95", id_scores=range(100))
    assert choose("conformal", id_scores=range(100)) == Threshold(4.0, "conformal", 100)
    assert choose("auto", even_odds=0.5) == Threshold(0.5, "even odds")
    assert "95 % of 100" in str(choose("id95", id_scores=range(100)))


@pytest.mark.parametrize(
    ("asked", "given_scores", "message"),
    [
        ("auto", None, "mcm has no cut that words alone justify: .*--calibrate FOLDER"),
        ("id95", None, "chosen from pictures of your classes"),
        ("conformal", None, "chosen from pictures of your classes"),
        ("best", None, "auto, id95, conformal"),
        ("nan", None, "finite"),
        (0.5, [1.0, 2.0], "needs no calibration pictures"),
        ("id95", [1.0, math.nan], "NaN"),
    ],
)
def test_choose_refuses_in_one_sentence(asked, given_scores, message):
    with pytest.raises(OodlibError, match=message):
        choose(asked, method="mcm", id_scores=given_scores)


@pytest.mark.parametrize("call", [lambda: at_recall([1.0], 0), lambda: conformal([1.0], 1.0)])
def test_shares_must_be_shares(call):
    with pytest.raises(OodlibError, match=r"between|above"):
        call()
