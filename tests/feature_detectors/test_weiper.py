from itertools import pairwise

import numpy as np
import pytest
from scipy.special import softmax

from oodlib.errors import OodlibError
from oodlib.feature_detectors import WeiPerKLD, WeiPerMSP
from tests.feature_detectors.activations import drawn

PARTS = ("id", "ood")


@pytest.fixture(scope="session")
def reference(golden):
    """What the authors' code gave, and the two methods on its perturbed weights, fitted."""
    stored = golden("weiper")

    class KLD(WeiPerKLD):
        def _perturb(self):
            return stored["W_tilde"].astype(np.float64)

    class MSP(WeiPerMSP):
        def _perturb(self):
            return stored["W_tilde"].astype(np.float64)

    head = {"weight": stored["W"], "bias": stored["b"]}
    return stored, KLD(30, **head).fit(stored["train_x"]), MSP(30, **head).fit(stored["train_x"])


def test_the_parameters_of_the_reference_are_the_defaults(reference):
    stored, detector, _ = reference
    names = ["perturbation_distance", "n_bins", "lambda_1", "lambda_2", "smoothing", "smoothing_perturbed"]
    keys = ["delta", "bins", "space_weight", "softmax_weight", "smoothing", "space_smoothing"]
    assert [detector.get_params()[key] for key in keys] == [stored[name] for name in names]


@pytest.mark.parametrize("part", PARTS)
def test_msp_agrees_with_the_authors_code(reference, part):
    stored, _, detector = reference
    np.testing.assert_allclose(detector.score_samples(stored[f"{part}_x"]), stored[f"msp_weiper_{part}"], rtol=1e-5)


@pytest.mark.parametrize("part", PARTS)
def test_kld_agrees_with_the_authors_code(reference, part):
    stored, detector, _ = reference
    expected = stored[f"score_{part}"]
    found = detector.score_samples(stored[f"{part}_x"])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.std())


@pytest.mark.parametrize(("part", "letter", "width"), [("feature", "z", 4), ("space", "w", 15)])
def test_its_parts_agree_too(reference, part, letter, width):
    stored, detector, _ = reference
    np.testing.assert_allclose(detector.ranges_[part], [stored[f"{letter}_min"], stored[f"{letter}_max"]], rtol=1e-6)
    np.testing.assert_allclose(detector.densities_[part], stored[f"train_density_{letter}"], rtol=1e-3, atol=1e-5)
    for rows in PARTS:
        (values,) = detector._values(part, stored[f"{rows}_x"].astype(np.float64))
        found = detector._divergence(values, part, width)
        np.testing.assert_allclose(found, stored[f"kld_{letter}_{rows}"], rtol=1e-3)


def test_every_class_is_turned_by_the_same_angle(inside, head):
    detector = WeiPerMSP(50, delta=1.8, **head).fit(inside[0])
    noise = detector.perturbed_.reshape(50, 4, 24) - head["weight"]
    lengths = np.linalg.norm(noise, axis=2) / np.linalg.norm(head["weight"], axis=1)
    np.testing.assert_allclose(lengths, 1.8)
    assert len(np.unique(noise.reshape(200, 24).round(9), axis=0)) == 200


def test_without_noise_the_msp_is_that_of_the_head(inside, head):
    rows = drawn(20, seed=1)[0]
    expected = softmax(rows @ head["weight"].T + head["bias"], axis=1).max(axis=1)
    np.testing.assert_allclose(WeiPerMSP(3, delta=0.0, **head).fit(inside[0]).score_samples(rows), expected)


@pytest.mark.parametrize("method", [WeiPerMSP, WeiPerKLD])
def test_noise_is_drawn_once_and_by_the_seed(method, inside, head):
    rows = drawn(20, seed=1)[0]
    detector = method(5, **head).fit(inside[0])
    scores = detector.score_samples(rows)
    np.testing.assert_array_equal(detector.score_samples(rows), scores)
    np.testing.assert_array_equal(method(5, **head).fit(inside[0]).score_samples(rows), scores)
    assert not np.allclose(method(5, random_state=1, **head).fit(inside[0]).score_samples(rows), scores)


def test_smoothing_and_binning_in_plain_loops(inside, head):
    detector = WeiPerKLD(2, bins=6, smoothing=2, **head).fit(inside[0])
    row = np.clip(drawn(1, seed=1)[0][0], *detector.ranges_["feature"])
    low, high = detector.ranges_["feature"]
    edges = np.linspace(low, high, 7)
    density = [((row >= a) & (row < b)).sum() / 24 for a, b in pairwise(edges)]
    p = np.array([(density[i] + density[min(i + 1, 5)]) / 2 for i in range(6)]) + 0.01
    q = detector.densities_["feature"] + 0.01
    p, q = p / p.sum(), q / q.sum()
    expected = (p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()
    assert detector._divergence(row[None], "feature", 2)[0] == pytest.approx(expected)


def test_values_outside_the_training_range_fall_into_no_bin(inside, head):
    detector = WeiPerKLD(2, **head).fit(inside[0])
    rows = inside[0][:3].copy()
    expected = detector._density(rows, "feature").sum(axis=1)
    low, high = detector.ranges_["feature"]
    step = (high - low) / 100
    rows[1, :5] = low - step / 2
    rows[1, 5:7] = high + step / 2
    found = detector._density(rows, "feature").sum(axis=1)
    np.testing.assert_allclose(found, [expected[0], 17 / 24, expected[2]])


def test_features_that_do_not_vary_have_no_histogram(head):
    with pytest.raises(OodlibError, match=r"values .* are 2: pass features that vary"):
        WeiPerKLD(**head).fit(np.full((5, 24), 2.0))
