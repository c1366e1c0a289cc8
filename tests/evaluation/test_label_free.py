import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from oodlib.errors import OodlibError
from oodlib.evaluation.label_free import auroc_at_share, mixture_auroc, otsu_ratio, share_of_ood, two_gaussians
from oodlib.evaluation.unlabelled import estimate, rank

TRUE_AUROC = norm.cdf(1.5 / np.sqrt(2))  # of the mixtures below


def mixture(rng, share=0.4, n=300, m=250, gap=1.5):
    outside = rng.random(m) < share
    return rng.normal(size=n), np.where(outside, rng.normal(-gap, 1, m), rng.normal(0, 1, m)), outside


def test_identity_is_exact_where_the_inside_is_the_reference():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(size=80).round(1), rng.normal(-1, 1, 40).round(1)
    value, low, high = auroc_at_share(inside, np.r_[inside, outside], 40 / 120)
    truth = np.r_[np.ones(80), np.zeros(40)]
    assert value == pytest.approx(roc_auc_score(truth, np.r_[inside, outside]), abs=1e-12)
    assert low < value < high


def test_identity_is_unbiased_and_its_interval_covers():
    rng = np.random.default_rng(0)
    values, held = [], 0
    for _ in range(500):
        reference, mixed, _ = mixture(rng)
        value, low, high = auroc_at_share(reference, mixed, 0.4)
        values.append(value)
        held += low <= TRUE_AUROC <= high
    assert np.mean(values) == pytest.approx(TRUE_AUROC, abs=4 * np.std(values) / np.sqrt(500))
    assert 0.93 <= held / 500 <= 0.98


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_lower_bound_of_the_share_holds(share):
    rng = np.random.default_rng(1)
    below = [share_of_ood(*mixture(rng, share, gap=3)[:2])[1] <= share for _ in range(200)]
    assert np.mean(below) >= 0.95


def test_bound_nears_the_share_with_more_pictures():
    rng = np.random.default_rng(2)
    share, bound = share_of_ood(*mixture(rng, 0.5, n=20_000, m=20_000, gap=5)[:2])
    assert share == pytest.approx(0.5, abs=0.02)
    assert 0.47 < bound < 0.5


def test_standard_error_is_that_of_repetition():
    rng = np.random.default_rng(3)
    found = [mixture_auroc(*mixture(rng, n=120, m=90)[:2]) for _ in range(400)]
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.1)


@given(st.integers(0, 50), st.floats(0.2, 3))
def test_ranks_alone_count(seed, scale):
    rng = np.random.default_rng(seed)
    reference, mixed, _ = mixture(rng, n=40, m=30)
    bent = np.exp(scale * reference), np.exp(scale * rng.permutation(mixed))
    np.testing.assert_allclose(mixture_auroc(reference, mixed), mixture_auroc(*bent))
    np.testing.assert_allclose(share_of_ood(reference, mixed), share_of_ood(*bent))


def test_two_gaussians_of_two_gaussians():
    mixed = mixture(np.random.default_rng(4), 0.3, m=20_000, gap=4)[1]
    value, share = two_gaussians(mixed)
    assert value == pytest.approx(norm.cdf(4 / np.sqrt(2)), abs=0.002)
    assert share == pytest.approx(0.3, abs=0.01)


def test_otsu_is_the_best_cut_of_a_plain_loop():
    scores = np.random.default_rng(5).normal(size=30).round(1)
    best = 0.0
    for cut in np.unique(scores)[1:]:
        low, high = scores[scores < cut], scores[scores >= cut]
        best = max(best, len(low) * len(high) / 30**2 * (high.mean() - low.mean()) ** 2 / scores.var())
    assert otsu_ratio(scores) == pytest.approx(best)
    assert otsu_ratio(3 * scores - 2) == pytest.approx(best)
    assert otsu_ratio([1.0, 1.0]) == 0.0


def test_estimate_holds_the_truth_and_narrows_with_the_share():
    rng = np.random.default_rng(6)
    reference, mixed, outside = mixture(rng, 0.5, n=2000, m=2000, gap=2.5)
    truth = roc_auc_score(~outside, mixed)
    blind, told = estimate(reference, mixed), estimate(reference, mixed, share=0.5)
    for found in (blind, told):
        assert found.low <= truth <= found.high
        assert found.share_low <= 0.5
        assert not found.warnings
    assert told.high - told.low < blind.high - blind.low


def test_nothing_outside_is_said():
    rng = np.random.default_rng(7)
    found = estimate(rng.normal(size=400), rng.normal(size=300))
    assert np.isnan(found.auroc)
    assert (found.low, found.high, found.share_low) == (0, 1, 0)
    assert "cannot be told from the reference" in found.warnings[0]


def test_everything_outside_is_said():
    rng = np.random.default_rng(8)
    found = estimate(rng.normal(size=400), rng.normal(-9, 1, 300))
    assert found.auroc == pytest.approx(1)
    assert found.share_low > 0.8
    assert "is any of it ID?" in found.warnings[-1]


def test_another_kind_of_inside_is_said():
    rng = np.random.default_rng(9)
    found = estimate(rng.normal(size=2000), rng.normal(-0.7, 0.6, 2000))  # all ID, by another hand
    assert found.share_low > 0.1  # which reads as OOD
    assert any("another kind" in warning for warning in found.warnings)


def test_a_share_below_the_bound_is_said():
    rng = np.random.default_rng(10)
    reference, mixed, _ = mixture(rng, 0.5, n=2000, m=2000, gap=5)
    assert "at least" in estimate(reference, mixed, share=0.1).warnings[0]


def test_few_and_tied_pictures_have_wide_intervals():
    found = estimate([1.0, 2.0, 3.0], [1.0, 2.0, 0.0])
    assert (found.low, found.high) == (0, 1)
    tied = estimate(np.ones(50), np.ones(40), share=0.5)
    assert tied.auroc == 0.5
    assert two_gaussians(np.ones(40)) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: auroc_at_share([1, 2], [1, 2], 0), "share is 0"),
        (lambda: auroc_at_share([1, 2], [1, 2], 1.2), "share is 1.2"),
        (lambda: estimate([1.0], [1.0, 2.0]), "reference of 1"),
        (lambda: estimate([], [1.0, 2.0]), "id_scores is empty"),
        (lambda: estimate([1.0, np.nan], [1.0, 2.0]), "id_scores"),
        (lambda: share_of_ood([1.0, 2.0], [1.0, 2.0], level=95), "level is 95"),
    ],
)
def test_what_cannot_be_estimated(call, named):
    with pytest.raises(OodlibError, match=named):
        call()


def test_detectors_are_ranked_as_their_auroc_is():
    rng = np.random.default_rng(11)
    outside = rng.random(3000) < 0.5
    scores, truth = {}, {}
    for name, gap in (("blind", 0.0), ("good", 3.0), ("fair", 1.0)):
        mixed = rng.normal(size=3000) - gap * outside
        scores[name] = rng.normal(size=2000), mixed
        truth[name] = roc_auc_score(~outside, mixed)
    share, low, found = rank(scores)
    assert list(found) == ["good", "fair", "blind"]
    assert low <= 0.5
    assert share == pytest.approx(0.5, abs=0.05)
    for name, one in found.items():
        assert one.low <= truth[name] <= one.high, name
        assert one.share == share


def test_a_detector_that_answers_to_style_does_not_speak_of_the_share():
    rng = np.random.default_rng(12)
    outside = rng.random(2000) < 0.2
    sound = rng.normal(size=1500), rng.normal(size=2000) - 4 * outside
    misled = rng.normal(size=1500), rng.normal(-5, 1, 2000)  # everything in the mixture looks out to it
    share, low, found = rank({"sound": sound, "misled": misled})
    assert share == pytest.approx(0.2, abs=0.05)
    assert low <= 0.2
    assert found["misled"].warnings
    assert rank({"misled": misled})[1] > 0.8


def test_nothing_to_rank():
    with pytest.raises(OodlibError, match="no scores"):
        rank({})
