import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.errors import OodlibError
from oodlib.feature_detectors import Mahalanobis, RelativeMahalanobis
from tests.feature_detectors.activations import D, drawn


def test_agrees_with_openood(golden, openood, assert_matches):
    stored = golden("openood_features")
    detector = Mahalanobis().fit(openood["train_x"], openood["train_y"])
    assert_matches(detector, "mds")
    np.testing.assert_allclose(detector.means_, stored["mds_class_mean"], rtol=1e-5, atol=1e-6)
    precision = detector.whitening_ @ detector.whitening_.T
    np.testing.assert_allclose(precision, stored["mds_precision"], atol=1e-5 * stored["mds_precision"].max())


def test_without_labels_there_is_one_mean(inside):
    features, rows = inside[0], drawn(20, seed=1)[0]
    centred = rows - features.mean(axis=0)
    precision = np.linalg.inv(np.cov(features.T, bias=True))
    expected = -np.einsum("nd,de,ne->n", centred, precision, centred)
    np.testing.assert_allclose(Mahalanobis().fit(features).score_samples(rows), expected)


def test_names_of_classes_may_be_strings(inside):
    features, labels = inside
    named = Mahalanobis().fit(features, [f"class {label}" for label in labels])
    np.testing.assert_array_equal(named.score_samples(features), Mahalanobis().fit(*inside).score_samples(features))


@pytest.mark.parametrize("method", [Mahalanobis, RelativeMahalanobis])
@given(seed=st.integers(0, 1000))
def test_other_coordinates_give_the_same_scores(method, inside, seed):
    features, labels = inside
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(D, D)))
    move = turn * random.uniform(0.1, 10, size=D)
    rows = drawn(10, seed=1)[0]
    found = method().fit(features @ move + seed, labels).score_samples(rows @ move + seed)
    np.testing.assert_allclose(found, method().fit(features, labels).score_samples(rows), rtol=1e-5, atol=1e-5)


def test_fully_shrunk_it_is_the_distance_in_units_of_the_mean_variance(inside):
    features, labels = inside
    rows = drawn(10, seed=1)[0]
    means = np.stack([features[labels == label].mean(axis=0) for label in range(4)])
    variance = (features - means[labels]).var(axis=0).mean()
    expected = -((rows[:, None] - means) ** 2).sum(axis=2).min(axis=1) / variance
    np.testing.assert_allclose(Mahalanobis(shrinkage=1.0).fit(*inside).score_samples(rows), expected)


def test_shrinkage_sees_directions_in_which_few_rows_do_not_vary(inside):
    features, labels = inside[0][:10], inside[1][:10]
    detector = Mahalanobis(shrinkage=0.0).fit(features, labels)
    direction = np.linalg.svd(np.vstack([detector.whitening_.T, detector.means_]))[2][-1]
    moved = features + 5 * direction
    np.testing.assert_allclose(detector.score_samples(moved), detector.score_samples(features))
    detector = Mahalanobis(shrinkage=0.1).fit(features, labels)
    assert (detector.score_samples(moved) < detector.score_samples(features) - 1).all()


@pytest.mark.parametrize("method", [Mahalanobis, RelativeMahalanobis])
def test_needs_a_spread_within_classes(method, inside):
    with pytest.raises(OodlibError, match=r"mean of its class, .*: pass more rows"):
        method().fit(inside[0][:4], [0, 1, 2, 3])


@pytest.mark.parametrize("method", [Mahalanobis, RelativeMahalanobis])
def test_labels_that_cannot_be_sorted_are_refused(method, inside):
    with pytest.raises(OodlibError, match="y mixes labels that cannot be sorted"):
        method().fit(inside[0][:3], np.array(["a", 1, None], dtype=object))
