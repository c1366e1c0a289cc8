import numpy as np
import pytest
from sklearn.cluster import KMeans

from oodlib.errors import OodlibError
from oodlib.feature_detectors import Mahalanobis, RelativeMahalanobis
from tests.feature_detectors.activations import drawn


def test_agrees_with_openood(openood, assert_matches):
    assert_matches(RelativeMahalanobis().fit(openood["train_x"], openood["train_y"]), "rmds")


def test_is_the_difference_of_two_mahalanobis_scores(inside):
    features, labels = inside
    rows = drawn(20, seed=1)[0]
    expected = Mahalanobis().fit(features, labels).score_samples(rows) - Mahalanobis().fit(features).score_samples(rows)
    found = RelativeMahalanobis().fit(features, labels).score_samples(rows)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_without_labels_k_means_makes_classes(inside):
    features, rows = inside[0], drawn(20, seed=1)[0]
    labels = KMeans(4, random_state=0).fit_predict(features)
    expected = RelativeMahalanobis().fit(features, labels).score_samples(rows)
    np.testing.assert_allclose(RelativeMahalanobis(n_clusters=4).fit(features).score_samples(rows), expected)


def test_there_are_no_more_clusters_than_one_for_five_rows(inside):
    assert len(RelativeMahalanobis().fit(inside[0][:20]).means_) == 4
    assert len(RelativeMahalanobis().fit(inside[0][:6]).means_) == 2


def test_one_class_is_nothing_to_compare(inside):
    with pytest.raises(OodlibError, match=r"classes .*: pass y of at least two"):
        RelativeMahalanobis().fit(inside[0], np.zeros(200))
    with pytest.raises(OodlibError, match="n_clusters is 1: pass at least 2, or labels"):
        RelativeMahalanobis(n_clusters=1).fit(inside[0])
