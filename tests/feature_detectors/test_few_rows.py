"""With few training rows every default works, or the method says in a sentence why it cannot."""

import numpy as np
import pytest

from oodlib.errors import OodlibError
from oodlib.feature_detectors import (
    KNN,
    Mahalanobis,
    NNGuide,
    RelativeMahalanobis,
    Residual,
    get_feature_detector,
    list_feature_detectors,
)

D = 64
all_detectors = pytest.mark.parametrize("name", list_feature_detectors())


def drawn(each: int, classes: int = 6, seed: int = 1, outside: bool = False):
    """Rows of classes: unit directions, which all rows of a seed share, with noise; outside, other directions."""
    centres = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0][12 if outside else 0 :][:classes]
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    return centres[labels] + random.normal(0, 0.07, size=(len(labels), D)), labels, centres


def make(name: str, centres: np.ndarray):
    """With its defaults, as `oodlib compare` makes it."""
    parameters = get_feature_detector(name).get_params()
    clipped = {"negative": "clip"} if "negative" in parameters else {}
    head = {"weight": 20 * centres, "bias": np.zeros(len(centres))} if "weight" in parameters else {}
    return get_feature_detector(name, **clipped, **head)


def auroc(detector) -> float:
    near, far = (detector.score_samples(drawn(20, seed=2, outside=outside)[0]) for outside in (False, True))
    return float((near[:, None] > far).mean())


@pytest.mark.parametrize("each", [2, 3, 4])
@pytest.mark.parametrize("name", ["knn", "mahalanobis", "relative_mahalanobis", "nnguide", "residual", "vim"])
def test_a_few_rows_a_class_are_enough(name, each):
    """Six classes that lie far apart, and others: what presumed many rows told them apart by 0.6 to 0.9 only."""
    rows, labels, centres = drawn(each)
    assert auroc(make(name, centres).fit(rows, labels)) > 0.95


@all_detectors
@pytest.mark.parametrize(("each", "classes"), [(1, 2), (1, 12), (2, 1), (2, 2), (3, 1), (5, 6), (30, 1)])
@pytest.mark.parametrize("labelled", [True, False])
def test_scores_are_numbers_or_a_sentence_says_why_not(name, each, classes, labelled):
    rows, labels, _ = drawn(each, classes)
    detector = make(name, drawn(1)[2])
    try:
        detector.fit(rows, labels if labelled else None)
    except OodlibError:
        assert name in ("class_mahalanobis", "mahalanobis", "relative_mahalanobis", "residual", "vim")
        assert each == 1 or classes == 1 or not labelled
        return
    scores = detector.score_samples(drawn(5, seed=3)[0])
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 1


@all_detectors
@pytest.mark.parametrize("n", [2, 12, 24, 30])
@pytest.mark.parametrize("contamination", [0.0, 0.05, 0.29, 0.5])
def test_no_more_rows_fall_outside_than_was_said(name, n, contamination):
    rows, labels, centres = drawn(n // 2, 2)
    detector = make(name, centres).set_params(contamination=contamination)
    try:
        outside = detector.fit(rows, labels).predict(rows) == -1
    except OodlibError:
        return
    assert outside.mean() <= contamination
    if len(np.unique(detector.score_samples(rows))) == len(rows):
        assert outside.sum() == int(contamination * len(rows))


def test_with_rows_enough_the_defaults_are_those_published():
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(1000, 8)), np.arange(1000) % 5
    probe = random.normal(size=(20, 8))
    head = {"weight": random.normal(size=(5, 8)), "bias": np.zeros(5)}
    for method, published, extra in (
        (KNN, {"n_neighbors": 50}, {}),
        (NNGuide, {"n_neighbors": 100, "share": 1.0}, head),
        (Mahalanobis, {"shrinkage": 0.0}, {}),
        (RelativeMahalanobis, {"shrinkage": 0.0}, {}),
        (Residual, {"dim": 4}, {}),
    ):
        default, chosen = method(**extra).fit(rows, labels), method(**published, **extra).fit(rows, labels)
        np.testing.assert_allclose(default.score_samples(probe), chosen.score_samples(probe), rtol=1e-9)


def test_the_neighbour_is_one_of_the_same_class():
    rows, labels, _ = drawn(8)
    probe = drawn(3, seed=2)[0]
    for given, k in ((labels, 4), (None, 4), (np.zeros(len(rows)), 24), (np.arange(len(rows)), 1)):
        expected = KNN(k).fit(rows).score_samples(probe)
        np.testing.assert_array_equal(KNN().fit(rows, given).score_samples(probe), expected)
