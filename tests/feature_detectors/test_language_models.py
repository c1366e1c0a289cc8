"""Detectors on features of a language model, against the released code of Uppaal et al."""

import numpy as np
import pytest

from oodlib.evaluation import ood_metrics
from oodlib.feature_detectors.knn import KNN
from oodlib.feature_detectors.mahalanobis import Mahalanobis


@pytest.fixture
def official(golden):
    return golden("maha_lm")


def test_the_released_reading_is_a_mean_over_all_places(official):
    states, mask = official["hidden_id"], official["attention_mask_id"][:, :, None]
    np.testing.assert_allclose(states.mean(1), official["pooled_id"], atol=1e-6)
    masked = (states * mask).sum(1) / mask.sum(1)
    assert (mask == 1).all() or not np.allclose(masked, official["pooled_id"], atol=1e-3)


def test_mahalanobis(official):
    g = official
    detector = Mahalanobis(shrinkage=0).fit(g["pooled_train"], g["train_label"])
    np.testing.assert_allclose(detector.means_, g["class_mean"], atol=1e-5)
    precision = detector.whitening_ @ detector.whitening_.T
    np.testing.assert_allclose(precision, g["precision"], rtol=1e-4, atol=1e-5 * np.abs(g["precision"]).max())
    for part in ("id", "ood"):
        np.testing.assert_allclose(detector.score_samples(g[f"pooled_{part}"]), g[f"score_maha_{part}"], rtol=1e-5)


@pytest.mark.parametrize("k", [1, 10, 50, 100])
def test_neighbours(official, k):
    """Theirs is the cosine minus 1, half of ours, with cosines below zero taken for 0."""
    g = official
    detector = KNN(k).fit(g["pooled_train"])
    for part in ("id", "ood"):
        cosine = 1 + detector.score_samples(g[f"pooled_{part}"]) / 2
        expected = g[f"score_{'knn' if k == 1 else f'{k}_nn'}_{part}"]
        np.testing.assert_allclose(np.maximum(cosine, 0) - 1, expected, atol=1e-5)


@pytest.mark.parametrize(("name", "key"), [("maha", "maha"), ("kNN", "knn"), ("50-NN", "50_nn")])
def test_metrics_of_the_released_code(official, name, key):
    g = official
    row = g["metrics"][list(g["metric_names"]).index(name)]
    found = ood_metrics(g[f"score_{key}_id"], g[f"score_{key}_ood"], cut="nearest")
    ours = [found[metric] for metric in ("auroc", "aupr_in", "aupr_out", "fpr95")]
    np.testing.assert_allclose(ours, row, atol=1e-6)
