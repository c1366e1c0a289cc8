import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oodlib.errors import OodlibError
from oodlib.tuning.sources import Known
from oodlib.tuning.sources.npos import NPOS, boundary, candidates, chosen, kth_distances


@pytest.fixture
def official(golden):
    return {name: torch.from_numpy(value) for name, value in golden("npos").items() if value.dtype.kind in "fi"}


def test_the_boundary_agrees_with_the_official_code(official):
    g = official
    rows = boundary(g["feature_class"], int(g["K"]), int(g["select"]))
    assert torch.equal(rows, g["npos_boundary_index"])
    distances = kth_distances(g["feature_class"], g["feature_class"], int(g["K"]))
    np.testing.assert_allclose(distances[rows], g["npos_boundary_kth_distance"], rtol=1e-4, atol=1e-5)


def test_released_outliers_agree_with_the_official_code(official):
    g = official
    picked = g["npos_boundary_index"][g["npos_pick_position"]]
    made = candidates(g["feature_class"][picked], g["eps"], float(g["noise_scale"]))
    np.testing.assert_allclose(made, g["npos_candidates"], rtol=1e-5, atol=1e-6)
    distances = kth_distances(made, g["feature_class"], int(g["K"]))
    np.testing.assert_allclose(distances, g["npos_candidate_kth_distance"], rtol=1e-5, atol=1e-5)
    rows = chosen(distances, int(g["pick_nums"]), int(g["points_per_pick"]), "released")
    assert torch.equal(rows, g["npos_returned_index"])
    np.testing.assert_allclose(made[rows], g["npos_outliers"], rtol=1e-5, atol=1e-6)


def test_the_paper_takes_the_farthest_of_each_pick_and_the_code_does_not(official):
    g = official
    distances, picks, keep = g["npos_candidate_kth_distance"], 3, 2
    far = chosen(distances, picks, keep, "farthest").reshape(picks, keep)
    table = distances.reshape(picks, -1)
    for row, block, start in zip(far, table, range(0, len(distances), 60), strict=True):
        assert set(distances[row].tolist()) == set(block.sort().values[-keep:].tolist())
        assert ((row >= start) & (row < start + 60)).all()
    released = chosen(distances, picks, keep, "released")
    blocks = table[torch.arange(picks).repeat_interleave(keep)]
    rank = (blocks < distances[released][:, None]).float().mean()
    assert 0.3 < rank < 0.7, "what is returned is no farther out than any other candidate"
    assert distances[far.flatten()].mean() > distances[released].mean()


def test_a_queue_that_starts_from_zeros_is_its_own_boundary(official):
    """The second defect of the released code: rows of zeros come first, whatever else is in the queue."""
    queue = torch.cat([torch.zeros(60, 16), official["feature_class"]])
    assert (boundary(queue, 20, 30) < 60).all()
    with pytest.raises(OodlibError, match="zero or not finite in 60 rows, the first is row 0"):
        Known(queue, torch.zeros(180, dtype=torch.int64))


@given(seed=st.integers(0, 2**31), size=st.integers(2, 12), dims=st.integers(2, 24), keep=st.integers(1, 4))
def test_outliers_are_farther_than_the_boundary_that_they_are_made_around(seed, size, dims, keep):
    generator = torch.Generator().manual_seed(seed)
    queue = torch.randn(size, dims, generator=generator) + 3
    source = NPOS(neighbour=0.5, edge=1.0, picks=2, draws=60, keep=keep)
    try:
        made = source.bank(Known(queue, torch.zeros(size, dtype=torch.int64)), 8, seed)
    except OodlibError:  # none of its noise leads out of the class: then nothing is returned
        return
    k = max(2, round(0.5 * size))
    assert kth_distances(made, queue, k).min() > kth_distances(queue, queue, k).min()


def test_the_farthest_lie_farther_than_the_released(queues):
    far, released = (NPOS(select=select, draws=200).bank(queues, 12) for select in ("farthest", "released"))
    inside = queues.features
    assert kth_distances(far, inside, 3).mean() > kth_distances(released, inside, 3).mean()


def test_one_picture_of_every_class_cannot_start():
    with pytest.raises(OodlibError, match="NPOS cannot start: no class has two features"):
        NPOS().bank(Known(torch.eye(3), torch.arange(3)), 4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"select": "nearest"}, "unknown select 'nearest': choose from farthest, released"),
        ({"neighbour": 0.0}, "neighbour and edge are shares above 0"),
        ({"keep": 9, "draws": 8}, "keep is at most draws"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said, queues):
    with pytest.raises(OodlibError, match=said):
        NPOS(**wrong).bank(queues, 1)
