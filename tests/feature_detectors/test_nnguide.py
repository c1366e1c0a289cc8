import numpy as np
import pytest
from scipy.special import logsumexp

from oodlib.feature_detectors import NNGuide
from tests.feature_detectors.activations import drawn


@pytest.mark.parametrize("suffix", ["_K100_alpha1p0", "_K10_alpha1p0", "_K10_alpha0p3"])
def test_agrees_with_openood(golden, openood, openood_head, assert_matches, suffix):
    stored = golden("openood_features")
    first = int(stored[f"nnguide_bank_size{suffix}"])  # whole batches from the start, where a share is wanted
    detector = NNGuide(int(stored[f"nnguide_param_K{suffix}"]), share=1.0, **openood_head)
    assert_matches(detector.fit(openood["train_x"][:first]), "nnguide", suffix)


def test_is_the_formula_in_plain_loops(inside, head):
    features, rows = inside[0][:30], drawn(5, seed=1)[0]

    def energy(row):
        return logsumexp(head["weight"] @ row + head["bias"])

    expected = []
    for row in rows:
        matches = sorted(energy(z) * (row @ z) / np.linalg.norm(row) / np.linalg.norm(z) for z in features)
        expected.append(energy(row) * np.mean(matches[-7:]))
    np.testing.assert_allclose(NNGuide(7, share=1.0, **head).fit(features).score_samples(rows), expected)


@pytest.mark.parametrize(
    ("n_neighbors", "share", "size"), [(10, 0.5, 100), (10, 0.01, 10), (100, 0.01, 100), (300, 0.1, 200)]
)
def test_the_bank_is_a_share_but_no_smaller_than_the_neighbours(inside, head, n_neighbors, share, size):
    assert len(NNGuide(n_neighbors, share, **head).fit(inside[0]).bank_) == size


def test_the_bank_is_drawn_from_all_rows_by_the_seed(inside, head):
    features = inside[0][np.argsort(inside[1])]
    banks = [NNGuide(10, 0.2, seed, **head).fit(features).bank_ for seed in (0, 0, 1)]
    np.testing.assert_array_equal(banks[0], banks[1])
    assert not np.array_equal(banks[0], banks[2])
    strongest = banks[0][:, :12].reshape(-1, 4, 3).sum(axis=2).argmax(axis=1)
    assert set(strongest) == {0, 1, 2, 3}  # though the rows are ordered by class
