import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.errors import OodlibError
from oodlib.feature_detectors import FDBD
from tests.feature_detectors.activations import D, drawn


@pytest.mark.parametrize(("by_distance", "suffix"), [(True, "_dist"), (False, "_norm")])
def test_agrees_with_openood(openood, openood_head, assert_matches, by_distance, suffix):
    assert_matches(FDBD(by_distance, **openood_head).fit(openood["train_x"]), "fdbd", suffix)


def test_sums_the_distances_to_the_boundaries(inside, head):
    """Walking the summand's length towards class k, the feature is on the boundary."""
    detector, row = FDBD(**head).fit(inside[0]), drawn(1, seed=1)[0][0]
    weight, bias = head["weight"], head["bias"]
    logits = weight @ row + bias
    best = logits.argmax()
    total = 0.0
    for k in set(range(4)) - {best}:
        towards = weight[k] - weight[best]
        step = (logits[best] - logits[k]) / (towards @ towards) * towards
        assert weight[k] @ (row + step) + bias[k] == pytest.approx(weight[best] @ (row + step) + bias[best])
        total += np.linalg.norm(step)
    expected = total / np.linalg.norm(row - inside[0].mean(axis=0))
    assert detector.score_samples(row[None])[0] == pytest.approx(expected)


@given(factor=st.floats(1e-3, 1e3))
def test_the_scale_of_the_head_does_not_matter(inside, head, factor):
    rows = drawn(20, seed=1)[0]
    scaled = {part: factor * array for part, array in head.items()}
    found, expected = (FDBD(**parts).fit(inside[0]).score_samples(rows) for parts in (scaled, head))
    np.testing.assert_allclose(found, expected)


def test_the_training_mean_itself_has_a_finite_score(inside, head):
    detector = FDBD(**head).fit(inside[0])
    centre, others = detector.score_samples(detector.mean_[None]), detector.score_samples(inside[0])
    assert np.isfinite(centre).all()
    assert centre[0] > others.max()


def test_a_boundary_needs_two_classes_that_differ(inside, head):
    with pytest.raises(OodlibError, match="pass a head of at least two"):
        FDBD(weight=np.ones((1, D)), bias=[0.0]).fit(inside[0])
    weight = head["weight"].copy()
    weight[3] = weight[1]
    with pytest.raises(OodlibError, match="classes 1 and 3 have the same weight"):
        FDBD(weight=weight, bias=head["bias"]).fit(inside[0])
