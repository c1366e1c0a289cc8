import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from oodlib import arrays as both
from oodlib.arrays import as_numpy, as_tensor, like, permutation, pick, split, top_k

# Logits of cosines divided by 0.01 go up to 100; ten times that must neither overflow nor warn.
logits = arrays(np.float32, array_shapes(min_dims=2, max_dims=3, min_side=1), elements=st.floats(-1000, 1000, width=32))


@pytest.mark.parametrize(
    "name", ["softmax", "log_softmax", "logsumexp", "sigmoid", "log_sigmoid", "largest", "normalize"]
)
@given(logits)
def test_arrays_and_tensors_agree(name, values):
    function = getattr(both, name)
    found, expected = function(values), function(torch.from_numpy(values))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(logits, st.floats(0, 1))
def test_quantile_agrees(values, q):
    found, expected = both.quantile(values, q), both.quantile(torch.from_numpy(values), q)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


@given(logits, st.data())
def test_the_k_largest_fall_and_stand_where_it_says(values, data):
    k = data.draw(st.integers(1, values.shape[-1]))
    found, places = top_k(values, k)
    np.testing.assert_array_equal(found, top_k(torch.from_numpy(values), k)[0])
    np.testing.assert_array_equal(found, np.take_along_axis(values, places, -1))
    assert (pick(values, places[..., 0]) == values.max(-1)).all()


@given(st.integers(0, 300), st.integers(0, 2**40))
def test_the_permutation_is_that_of_torch(n, seed):
    expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert permutation(n, seed).tolist() == expected.tolist()


def test_like_takes_kind_and_precision():
    single, double = np.eye(2, dtype=np.float32), torch.eye(2, dtype=torch.float64)
    assert like(single, double).dtype == torch.float64
    assert like(double, single).dtype == np.float32
    assert like(single, single) is single
    assert as_numpy(torch.eye(2, dtype=torch.bfloat16, requires_grad=True)).dtype == np.float32


def test_memory_that_torch_refuses_is_copied():
    fixed = np.arange(3.0)
    fixed.flags.writeable = False
    for values in (fixed, fixed[::-1]):
        assert as_tensor(values).tolist() == values.tolist()


@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_blocks_have_all_rows(make):
    assert [len(block) for block in split(make((5, 2)), 2)] == [2, 2, 1]
    assert [block.shape for block in split(make((0, 2)), 2)] == [(0, 2)]
