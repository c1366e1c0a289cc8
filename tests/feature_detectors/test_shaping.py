"""ReAct, ASH and SCALE: the energy of reshaped activations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from oodlib.errors import OodlibError
from oodlib.feature_detectors import ASH, SCALE, ReAct
from tests.feature_detectors.activations import drawn

EYE = {"weight": np.eye(5), "bias": np.zeros(5)}
FIVE = np.array([[4.0, 1.0, 3.0, 0.0, 2.0]])


@pytest.mark.parametrize("percentile", [90, 99])
def test_react_agrees_with_openood(golden, openood, openood_head, assert_matches, percentile):
    detector = ReAct(percentile / 100, **openood_head).fit(openood["val_x"])
    assert_matches(detector, "react", f"_p{percentile}")
    assert detector.cut_ == pytest.approx(float(golden("openood_features")[f"react_threshold_p{percentile}"]))


@pytest.mark.parametrize("percentile", [65, 90])
def test_ash_agrees_with_openood(openood, openood_head, assert_matches, percentile):
    assert_matches(ASH(percentile / 100, **openood_head).fit(openood["train_x"]), "ash", f"_p{percentile}")


@pytest.mark.parametrize("percentile", [65, 85])
def test_scale_agrees_with_openood(openood, openood_head, assert_matches, percentile):
    assert_matches(SCALE(percentile / 100, **openood_head).fit(openood["train_x"]), "scale", f"_p{percentile}")


def test_ash_gives_the_sum_to_the_strongest():
    detector = ASH(0.6, **EYE).fit(np.vstack([FIVE, FIVE]))
    assert detector.score_samples(FIVE)[0] == pytest.approx(logsumexp([5, 0, 5, 0, 0]))  # two of five are kept


def test_ash_keeps_at_least_one():
    detector = ASH(0.999, **EYE).fit(np.vstack([FIVE, FIVE]))
    assert detector.score_samples(FIVE)[0] == pytest.approx(logsumexp([10, 0, 0, 0, 0]))


def test_scale_stretches_by_the_share_of_the_strongest():
    detector = SCALE(0.6, **EYE).fit(np.vstack([FIVE, FIVE]))
    assert detector.score_samples(FIVE)[0] == pytest.approx(logsumexp(FIVE * np.exp(10 / 7)))


def test_react_cuts_at_the_quantile_of_all_entries():
    detector = ReAct(0.5, **EYE).fit(np.vstack([FIVE, FIVE]))
    assert detector.cut_ == 2
    assert detector.score_samples(10 * FIVE)[0] == pytest.approx(logsumexp([2, 2, 2, 0, 2]))


@pytest.mark.parametrize("method", [ReAct, ASH, SCALE])
def test_a_feature_of_zeros_has_the_energy_of_the_bias(method, inside, head):
    scores = method(**head).fit(inside[0]).score_samples(np.zeros((1, 24)))
    assert scores[0] == pytest.approx(logsumexp(head["bias"]))


@pytest.mark.parametrize("method", [ReAct, ASH, SCALE])
def test_signed_features_are_refused(method, inside, head):
    signed = inside[0] - 0.5
    message = f"{method.__name__} is made for activations behind a ReLU, .*: pass negative='clip'"
    with pytest.raises(OodlibError, match=message):
        method(**head).fit(signed)
    detector = method(**head).fit(inside[0])
    with pytest.raises(OodlibError, match=message):
        detector.score_samples(signed)


@pytest.mark.parametrize("method", [ReAct, ASH, SCALE])
@given(seed=st.integers(0, 100))
def test_clipped_they_are_scored_as_a_relu_would_leave_them(method, inside, head, seed):
    signed, rows = inside[0] - 0.3, drawn(10, seed=seed)[0] - 0.3
    found = method(negative="clip", **head).fit(signed).score_samples(rows)
    expected = method(**head).fit(np.maximum(signed, 0)).score_samples(np.maximum(rows, 0))
    np.testing.assert_array_equal(found, expected)
    assert np.isfinite(found).all()
