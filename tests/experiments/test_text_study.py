import numpy as np
import pytest

from oodlib.errors import OodlibError
from oodlib.evaluation import ood_metrics
from oodlib.experiments.text_study import TextStudy


@pytest.fixture
def study():
    draw = np.random.default_rng(0)
    study = TextStudy(n_boot=500)
    study.scores = {}
    for part, n in (("verbs", 80), ("names", 60)):
        for trial, shift in (("frozen", 1.0), ("tuned", 1.5)):
            pair = draw.normal(shift, size=150), draw.normal(size=n)
            study.scores[trial, part] = pair
            study.add(trial, part, *pair)
    return study


def test_a_value_is_the_auroc(study):
    found = [ood_metrics(*study.scores["frozen", part])["auroc"] for part in ("verbs", "names")]
    assert study.auroc("frozen", ["verbs", "names"])[0] == pytest.approx(np.mean(found))


def test_ties_count_half():
    study = TextStudy(n_boot=10)
    study.add("one", "part", np.ones(4), np.ones(3))
    assert study.auroc("one", ["part"]) == pytest.approx((0.5, 0.5, 0.5))


def test_intervals_hold_the_value_and_are_those_of_the_texts(study):
    for numbers in (study.auroc("tuned", ["verbs"]), study.gain("tuned", "frozen", ["verbs", "names"])):
        value, low, high = numbers
        assert low < value < high
    inside, outside = study.scores["tuned", "verbs"]
    draw, values = np.random.default_rng(3), []
    for _ in range(500):
        a, b = draw.choice(inside, len(inside)), draw.choice(outside, len(outside))
        values.append(ood_metrics(a, b)["auroc"])
    np.testing.assert_allclose(study.auroc("tuned", ["verbs"])[1:], np.quantile(values, [0.025, 0.975]), atol=0.015)


def test_a_trial_against_itself_gains_nothing(study):
    assert study.gain("tuned", "tuned", ["verbs"]) == (0.0, 0.0, 0.0)
    seeds = TextStudy(n_boot=50)
    for trial, times in (("once", 1), ("twice", 2)):
        for _ in range(times):
            seeds.add(trial, "verbs", *study.scores["tuned", "verbs"])
    assert seeds.gain("once", "twice", ["verbs"]) == pytest.approx((0.0, 0.0, 0.0))


def test_what_is_not_there_is_named(study):
    with pytest.raises(OodlibError, match="verses"):
        study.auroc("tuned", ["verses"])
    with pytest.raises(OodlibError, match="no numbers"):
        study.add("tuned", "verbs", np.array([np.nan]), np.ones(2))
