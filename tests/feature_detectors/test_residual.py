import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.feature_detectors import Residual
from tests.feature_detectors.activations import D, drawn


def test_agrees_with_the_residual_in_openoods_vim(golden, openood, openood_head):
    stored = golden("openood_features")
    detector = Residual(32, origin=stored["vim_u_dim32"]).fit(openood["train_x"])
    projector = stored["vim_NS_projector_dim32"]
    np.testing.assert_allclose(detector.residual_ @ detector.residual_.T, projector, atol=1e-5)
    for part in ("id_x", "ood_x"):
        expected = -np.linalg.norm((openood[part] - stored["vim_u_dim32"]) @ projector, axis=1)
        np.testing.assert_allclose(detector.score_samples(openood[part]), expected, rtol=1e-4)


def test_is_what_the_best_subspace_leaves_over(inside):
    features = inside[0]
    singular = np.linalg.svd(features, compute_uv=False)
    for dim in (0, 5, 23):
        scores = Residual(dim).fit(features).score_samples(features)
        assert (scores**2).sum() == pytest.approx((singular[dim:] ** 2).sum())


@given(dim=st.integers(0, D - 2))
def test_a_larger_principal_space_leaves_less(inside, dim):
    rows = drawn(20, seed=1)[0]
    smaller, larger = (Residual(dim + more).fit(inside[0]).score_samples(rows) for more in (0, 1))
    assert (larger >= smaller - 1e-12).all()


@given(weights=st.lists(st.floats(-10, 10), min_size=5, max_size=5))
def test_what_the_training_rows_span_has_no_residual(inside, weights):
    features = inside[0][:5]
    combined = np.array(weights) @ features
    assert Residual(5).fit(features).score_samples(combined[None])[0] == pytest.approx(0, abs=1e-5)


def test_the_default_takes_half_of_few_columns_or_rows_and_256_of_many(inside):
    assert Residual().fit(inside[0]).residual_.shape == (24, 12)
    many = np.random.default_rng(0).normal(size=(600, 600))
    assert Residual().fit(many).residual_.shape == (600, 344)
    assert Residual().fit(many[:10]).residual_.shape == (600, 595)


def test_the_origin_moves_the_space(inside):
    rows = drawn(20, seed=1)[0]
    origin = np.arange(D)
    expected = Residual(5).fit(inside[0] - origin).score_samples(rows - origin)
    np.testing.assert_allclose(Residual(5, origin=origin).fit(inside[0]).score_samples(rows), expected)
