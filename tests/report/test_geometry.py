"""Numbers on feature spaces, against plain loops and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from oodlib.errors import OodlibError
from oodlib.report.geometry import centred, chance, gap, neighbours, purity, told_apart


def rows(n: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    made = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    made[:, 0] += shift
    return F.normalize(made, dim=1)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
def test_the_gap_is_what_loops_over_pairs_give(n, k, seed):
    one, other = rows(n, seed), rows(k, seed + 100)
    found = gap(one, other)
    pairs = [float(one[i] @ one[j]) for i in range(n) for j in range(n) if i != j]
    assert found.pictures == pytest.approx(np.mean(pairs), abs=1e-5)
    assert found.between == pytest.approx(np.mean([float(a @ b) for a in one for b in other]), abs=1e-5)
    assert found.distance == pytest.approx(float(torch.dist(one.mean(0), other.mean(0))), abs=1e-6)
    assert gap(other, one).words == pytest.approx(found.pictures)


def test_neighbours_leave_the_row_itself_out():
    features = rows(12, 1)
    near = neighbours(features, 3)
    for k, others in enumerate(near):
        cosines = {j: float(features[k] @ features[j]) for j in range(12) if j != k}
        assert list(others) == sorted(cosines, key=cosines.get, reverse=True)[:3]
    with pytest.raises(OodlibError, match="12 rows have no 12 neighbours each: pass k from 1 to 11"):
        neighbours(features, 12)


def test_purity_counts_own_labels_and_chance_is_its_mean_over_random_neighbours():
    near = np.array([[1, 2], [0, 2], [0, 1]])
    np.testing.assert_allclose(purity(near, ["a", "a", "b"]), [0.5, 0.5, 0.0])
    labels = np.repeat(["a", "b", "c"], [2, 5, 13])
    everyone = np.array([[j for j in range(20) if j != k] for k in range(20)])
    assert chance(labels) == pytest.approx(purity(everyone, labels).mean())


def test_centring_takes_the_mean_off_and_keeps_the_length():
    features = rows(40, 2, shift=3.0)
    moved = centred(features, features.mean(0))
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(40))
    assert float(moved.mean(0).norm()) < 0.2 < float(features.mean(0).norm())


def test_a_shift_is_told_apart_until_it_is_centred_away():
    one, other = 10 * rows(300, 3) + 5, 10 * rows(200, 4) - 5  # two balls that differ by their means only
    assert told_apart([one, other]) > 0.95
    assert told_apart([one, other], centre=True) == pytest.approx(0.5, abs=0.12)
    assert told_apart([rows(300, 5), rows(300, 6)]) == pytest.approx(0.5, abs=0.12)
    assert told_apart([one, other], seed=1) == told_apart([one, other], seed=1)
