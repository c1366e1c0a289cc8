import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.feature_detectors import KNN
from tests.feature_detectors.activations import drawn


@pytest.mark.parametrize("n_neighbors", [1, 10, 50])
def test_agrees_with_openood(openood, assert_matches, n_neighbors):
    assert_matches(KNN(n_neighbors).fit(openood["train_x"]), "knn", f"_K{n_neighbors}")


def test_is_the_kth_cosine_in_another_guise(inside):
    features, rows = inside[0], drawn(20, seed=1)[0]
    units, bank = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (rows, features))
    for k in (1, 7, 200):
        cosines = np.sort(units @ bank.T, axis=1)[:, -k]
        np.testing.assert_allclose(KNN(k).fit(features).score_samples(rows), 2 * cosines - 2)


@given(scales=st.lists(st.floats(1e-3, 1e3), min_size=20, max_size=20))
def test_the_length_of_a_feature_does_not_matter(inside, scales):
    detector, rows = KNN().fit(inside[0]), drawn(20, seed=1)[0]
    found = detector.score_samples(rows * np.array(scales)[:, None])
    np.testing.assert_allclose(found, detector.score_samples(rows), rtol=1e-9)


@given(k=st.integers(1, 199))
def test_a_farther_neighbour_never_raises_the_score(inside, k):
    rows = drawn(20, seed=1)[0]
    nearer, farther = (KNN(k + more).fit(inside[0]).score_samples(rows) for more in (0, 1))
    assert (farther <= nearer + 1e-12).all()


def test_with_fewer_rows_it_takes_the_farthest(inside):
    rows = drawn(20, seed=1)[0]
    few = inside[0][:5]
    np.testing.assert_array_equal(KNN(50).fit(few).score_samples(rows), KNN(5).fit(few).score_samples(rows))


def test_a_feature_of_zeros_is_at_distance_1_from_everything(inside):
    assert KNN(3).fit(inside[0]).score_samples(np.zeros((1, 24))).tolist() == pytest.approx([-1.0])
