"""What every feature detector must do. A new module in oodlib/feature_detectors is tested here at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError

import oodlib.feature_detectors
from oodlib.errors import OodlibError
from oodlib.feature_detectors import FeatureDetector, base, get_feature_detector, list_feature_detectors
from oodlib.registry import Registry
from tests.feature_detectors.activations import C, D, drawn

all_detectors = pytest.mark.parametrize("name", list_feature_detectors())
WITH_HEAD = [name for name in list_feature_detectors() if get_feature_detector(name).needs_head]
with_head = pytest.mark.parametrize("name", WITH_HEAD)


@pytest.fixture(scope="session")
def make(head):
    """A detector by name, with the head where it takes one."""
    return lambda name, **parameters: get_feature_detector(name, **(head if name in WITH_HEAD else {}), **parameters)


def test_all_seventeen_are_found():
    assert set(list_feature_detectors()) >= {
        *("ash", "fdbd", "gen", "knn", "mahalanobis", "nnguide", "one_class_svm", "react", "relative_mahalanobis"),
        *("residual", "scale", "vim", "weiper_kld", "weiper_msp", "class_mahalanobis", "grad_norm", "kl_matching"),
    }


@all_detectors
def test_scores_are_finite_numbers_one_for_each_row(name, make, inside):
    scores = make(name).fit(*inside).score_samples(drawn(50, seed=2)[0])
    assert scores.shape == (50,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == 50


@all_detectors
def test_larger_means_more_in_distribution(name, make, inside):
    detector = make(name).fit(*inside)
    near, far = (detector.score_samples(drawn(100, seed=3, outside=outside)[0]) for outside in (False, True))
    assert (near[:, None] > far).mean() > 0.75


@all_detectors
def test_a_matrix_is_its_rows(name, make, inside, monkeypatch):
    detector, rows = make(name).fit(*inside), drawn(7, seed=4)[0]
    whole = detector.score_samples(rows)
    single = np.concatenate([detector.score_samples(row[None]) for row in rows])
    np.testing.assert_allclose(single, whole, rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(base, "_CELLS", 20)  # blocks of one row, in fit as well
    np.testing.assert_allclose(make(name).fit(*inside).score_samples(rows), whole, rtol=1e-9, atol=1e-9)


@all_detectors
def test_a_block_is_as_large_as_memory_allows(name, make, inside, monkeypatch):
    monkeypatch.setattr(base, "_CELLS", 2000)
    detector = make(name, **({"share": 1.0} if name == "nnguide" else {})).fit(*inside)
    compared = {"nnguide": 200, "weiper_msp": 100 * C, "weiper_kld": 100 * C}.get(name, D)
    sizes, score_block = [], detector.score_block
    monkeypatch.setattr(detector, "score_block", lambda X: sizes.append(len(X)) or score_block(X))
    detector.score_samples(drawn(150, seed=8)[0])
    assert sum(sizes) == 150
    assert max(sizes) == 2000 // compared


@all_detectors
@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_the_order_of_training_rows_does_not_matter(name, make, inside, seed):
    features, labels = inside
    everything = {"share": 1.0} if name == "nnguide" else {}
    order = np.random.default_rng(seed).permutation(len(features))
    rows = drawn(20, seed=5)[0]
    expected = make(name, **everything).fit(features, labels).score_samples(rows)
    found = make(name, **everything).fit(features[order], labels[order]).score_samples(rows)
    # libsvm stops at a tolerance of 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-2 if name == "one_class_svm" else 1e-8, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in WITH_HEAD if not name.startswith("weiper")])
@given(order=st.permutations(range(C)))
def test_the_order_of_classes_in_the_head_does_not_matter(name, head, inside, order):
    order, rows = list(order), drawn(20, seed=5)[0]
    permuted = {part: array[order] for part, array in head.items()}
    expected, found = (
        get_feature_detector(name, **parts).fit(inside[0]).score_samples(rows) for parts in (head, permuted)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@all_detectors
@pytest.mark.parametrize("contamination", [0.0, 0.1, 0.5])
def test_the_offset_leaves_out_the_given_share(name, make, inside, contamination):
    detector = make(name, contamination=contamination).fit(*inside)
    scores = detector.score_samples(inside[0])
    assert (scores < detector.offset_).sum() == round(contamination * len(scores))
    np.testing.assert_allclose(detector.decision_function(inside[0]), scores - detector.offset_)
    assert detector.predict(inside[0]).tolist() == [1 if score >= detector.offset_ else -1 for score in scores]


@all_detectors
@pytest.mark.parametrize("contamination", [0.0, 0.1])
def test_a_row_is_decided_alone_as_among_the_others(name, make, inside, contamination):
    """The offset is the score of one of them, whose last digits depend on how many rows a product has."""
    detector = make(name, contamination=contamination).fit(*inside)
    alone = np.concatenate([detector.predict(row[None]) for row in inside[0]])
    assert alone.tolist() == detector.predict(inside[0]).tolist()


@all_detectors
def test_numbers_of_other_kinds_are_taken_and_left_alone(name, make, inside):
    detector, rows = make(name).fit(*inside), drawn(5, seed=6)[0].astype(np.float32)
    expected, before = detector.score_samples(rows.astype(float)), rows.copy()
    for given_rows in (rows, rows.tolist(), torch.from_numpy(rows)):
        np.testing.assert_allclose(detector.score_samples(given_rows), expected)
    np.testing.assert_array_equal(rows, before)
    features = inside[0].copy()
    make(name).fit(features, inside[1])
    np.testing.assert_array_equal(features, inside[0])


@all_detectors
def test_keeps_the_contract_of_scikit_learn(name, make, inside):
    detector = make(name)
    assert is_outlier_detector(detector)
    assert isinstance(detector, FeatureDetector)
    assert repr(get_feature_detector(name)) == f"{type(detector).__name__}()"
    parameters = detector.get_params()
    assert detector.fit(*inside) is detector
    assert detector.get_params() == parameters  # fitting changes no hyper-parameter
    copy = clone(detector)
    assert not hasattr(copy, "offset_")
    np.testing.assert_array_equal(copy.fit(*inside).offset_, detector.offset_)
    for key in vars(detector):
        assert key.endswith("_") or key in parameters, key
    assert "Larger = more in-distribution" in " ".join(type(detector).__doc__.split())
    for parameter in parameters:
        assert parameter in type(detector).__doc__


@all_detectors
def test_says_what_is_wrong(name, make, inside):
    features, labels = inside
    detector, rows = make(name).fit(features, labels), drawn(4, seed=7)[0]
    with pytest.raises(NotFittedError):
        make(name).score_samples(rows)
    with pytest.raises(OodlibError, match=r"X has 8 features, but .* is expecting 24 features"):
        detector.score_samples(rows[:, :8])
    with pytest.raises(OodlibError, match="Expected 2D array, got 1D array instead"):
        detector.score_samples(rows[0])
    with pytest.raises(OodlibError, match=r"0 sample\(s\)"):
        detector.score_samples(rows[:0])
    with pytest.raises(OodlibError, match=r"1 sample\(s\) .* while a minimum of 2 is required"):
        make(name).fit(features[:1], labels[:1])
    with pytest.raises(OodlibError, match="inconsistent numbers of samples"):
        make(name).fit(features, labels[:-1])
    for value in (np.nan, np.inf):
        broken = rows.copy()
        broken[2, 0] = value
        with pytest.raises(OodlibError, match="NaN or infinite values in 1 rows, the first is row 2"):
            detector.score_samples(broken)
        with pytest.raises(OodlibError, match="NaN or infinite values in 1 rows, the first is row 2"):
            make(name).fit(broken, labels[:4])
    for contamination in (-0.1, 0.6, np.nan):
        with pytest.raises(OodlibError, match=r"pass a share of the rows from 0 to 0\.5"):
            make(name, contamination=contamination).fit(features, labels)


@with_head
def test_says_what_is_wrong_with_the_head(name, head, inside):
    weight, bias = head["weight"], head["bias"]
    for given_head in ({}, {"weight": weight}, {"bias": bias}):
        with pytest.raises(OodlibError, match=r"needs a classification head: .*weight=.*bias="):
            get_feature_detector(name, **given_head).fit(*inside)
    for shapes in ((weight.T, bias), (weight, bias[:-1]), (weight[0], bias), (weight[:0], bias[:0])):
        with pytest.raises(OodlibError, match=r"with 24 features pass \(C, 24\) and \(C,\)"):
            get_feature_detector(name, weight=shapes[0], bias=shapes[1]).fit(*inside)
    with pytest.raises(OodlibError, match="must be numbers, in a tensor or an array"):
        get_feature_detector(name, weight=weight, bias=["a"] * C).fit(*inside)
    with pytest.raises(OodlibError, match="NaN or infinite"):
        get_feature_detector(name, weight=weight, bias=bias + np.nan).fit(*inside)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("ash", {"quantile": 90.0}, "quantile is 90.0: pass a number from 0 to below 1"),
        ("react", {"quantile": -0.1}, "quantile is -0.1"),
        ("scale", {"negative": "keep"}, "negative is 'keep': choose from 'refuse', 'clip'"),
        ("gen", {"gamma": 0.0}, "gamma is 0.0"),
        ("gen", {"top": 0}, "top is 0"),
        ("knn", {"n_neighbors": 0}, "n_neighbors is 0"),
        ("mahalanobis", {"shrinkage": 1.5}, "shrinkage is 1.5"),
        ("nnguide", {"n_neighbors": 0}, "n_neighbors is 0"),
        ("nnguide", {"share": 0.0}, "share is 0.0"),
        ("one_class_svm", {"nu": 0.0}, "nu is 0.0"),
        ("one_class_svm", {"gamma": "large"}, "gamma is 'large'"),
        ("one_class_svm", {"gamma": -1.0}, "gamma is -1.0"),
        ("relative_mahalanobis", {"shrinkage": -0.1}, "shrinkage is -0.1"),
        ("residual", {"dim": D}, "dim is 24 .*: pass .* 0 to 23"),
        ("residual", {"origin": np.zeros(3)}, r"a finite point of shape \(24,\)"),
        ("vim", {"dim": -1}, "dim is -1"),
        ("weiper_kld", {"bins": 1}, "at least 2 bins"),
        ("weiper_kld", {"smoothing": 0}, "a smoothing over at least 1"),
        ("weiper_msp", {"repeats": 0}, "repeats is 0"),
        ("weiper_msp", {"delta": -1.0}, "delta is -1.0"),
    ],
)
def test_says_which_parameter_is_out_of_range(name, parameters, message, make, inside):
    with pytest.raises(OodlibError, match=message):
        make(name, **parameters).fit(*inside)


def test_fit_predict_learns_the_classes_it_is_given(make, inside):
    detector = make("mahalanobis")
    found = detector.fit_predict(*inside)
    assert len(detector.means_) == C
    np.testing.assert_array_equal(found, detector.predict(inside[0]))


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(OodlibError, match="unknown feature detector 'nn': choose from ash, class_mahalanobis, fdbd"):
        get_feature_detector("nn")
    with pytest.raises(OodlibError, match=r"knn has no parameter 'k': .*n_neighbors"):
        get_feature_detector("knn", k=3)
    with pytest.raises(ImportError, match="cannot import name 'KNM'"):
        from oodlib.feature_detectors import KNM  # noqa: F401


def test_classes_can_be_imported_from_the_package():
    from oodlib.feature_detectors import KNN

    assert KNN is type(get_feature_detector("knn"))


def test_a_new_file_is_enough(tmp_path, monkeypatch, inside):
    (tmp_path / "longest.py").write_text(
        "from oodlib.feature_detectors.base import FeatureDetector\n\n\n"
        "class Longest(FeatureDetector):\n"
        "    def __init__(self, contamination=0.05):\n"
        "        self.contamination = contamination\n\n"
        "    def score_block(self, X):\n"
        "        return (X**2).sum(axis=1)\n"
    )
    package = oodlib.feature_detectors
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    monkeypatch.setattr(package, "_registry", Registry("oodlib.feature_detectors", FeatureDetector, "feature detector"))
    assert "longest" in list_feature_detectors()
    assert get_feature_detector("longest").fit(inside[0]).score_samples(inside[0][:3]).shape == (3,)
