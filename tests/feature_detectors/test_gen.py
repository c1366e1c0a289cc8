import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.feature_detectors import GEN


@pytest.mark.parametrize(("gamma", "top"), [(0.1, 100), (0.1, 5), (0.5, 10)])
def test_agrees_with_openood(openood, openood_head, assert_matches, gamma, top):
    suffix = f"_g{gamma}_M{top}".replace(".", "p")
    assert_matches(GEN(gamma, top, **openood_head).fit(openood["train_x"]), "gen", suffix)


def of_logits(*logits, **parameters):
    """The score of one row of logits: the head is the identity."""
    size = len(logits)
    detector = GEN(weight=np.eye(size), bias=np.zeros(size), **parameters).fit(np.eye(size))
    return detector.score_samples([logits])[0]


@given(size=st.integers(2, 20), gamma=st.floats(0.1, 2))
def test_knowing_nothing_has_a_closed_form(size, gamma):
    expected = -size * ((1 / size) * (1 - 1 / size)) ** gamma
    assert of_logits(*[3.0] * size, gamma=gamma) == pytest.approx(expected)


@given(logits=st.lists(st.floats(-5, 5), min_size=2, max_size=6))
def test_being_sure_is_0_and_nothing_is_higher(logits):
    assert -1e-3 < of_logits(*logits, 1000.0, gamma=1.0) <= 0
    assert of_logits(*logits, gamma=1.0) <= 0


@given(logits=st.lists(st.floats(-5, 5), min_size=3, max_size=6), shift=st.floats(-50, 50))
def test_a_shift_of_all_logits_changes_nothing(logits, shift):
    moved = [logit + shift for logit in logits]
    assert of_logits(*moved) == pytest.approx(of_logits(*logits), rel=1e-6)


def test_only_the_largest_probabilities_count():
    p = np.array([0.6, 0.3, 0.1])
    expected = -((p[:2] * (1 - p[:2])) ** 0.1).sum()
    assert of_logits(*np.log(p), top=2) == pytest.approx(expected)
    assert of_logits(*np.log(p), top=100) == pytest.approx(of_logits(*np.log(p), top=3))
