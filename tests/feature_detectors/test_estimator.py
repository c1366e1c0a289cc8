"""scikit-learn's own checks of an outlier detector, for the methods whose input is a plain matrix."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from oodlib.feature_detectors import get_feature_detector, list_feature_detectors

PLAIN = ["class_mahalanobis", "knn", "mahalanobis", "one_class_svm", "relative_mahalanobis", "residual"]


def test_every_method_without_a_head_is_checked():
    assert [name for name in list_feature_detectors() if not get_feature_detector(name).needs_head] == PLAIN


@parametrize_with_checks([get_feature_detector(name) for name in PLAIN])
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)
