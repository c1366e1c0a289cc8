import numpy as np
import pytest
from scipy.optimize import minimize

from oodlib.feature_detectors import OneClassSVM
from tests.feature_detectors.activations import drawn


def kernel(a, b, gamma):
    return np.exp(-gamma * ((a[:, None] - b) ** 2).sum(axis=2))


@pytest.mark.parametrize(("nu", "gamma"), [(0.5, "scale"), (0.2, 0.5)])
def test_solves_its_problem(nu, gamma):
    """The weights found by a general-purpose optimiser give the same scores."""
    features, rows = drawn(25)[0], drawn(10, seed=1)[0]
    width = 1 / (features.shape[1] * features.var()) if gamma == "scale" else gamma
    squares = kernel(features, features, width)
    found = minimize(
        lambda alpha: alpha @ squares @ alpha / 2,
        np.full(25, nu),
        jac=lambda alpha: squares @ alpha,
        bounds=[(0, 1)] * 25,
        constraints={"type": "eq", "fun": lambda alpha: alpha.sum() - 25 * nu, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    assert found.success
    expected = kernel(rows, features, width) @ found.x
    np.testing.assert_allclose(OneClassSVM(nu, gamma).fit(features).score_samples(rows), expected, rtol=2e-3)


def test_far_from_everything_the_score_is_0(inside):
    detector = OneClassSVM().fit(inside[0])
    assert detector.score_samples(np.full((1, 24), 100.0))[0] == pytest.approx(0, abs=1e-12)
    assert detector.score_samples(inside[0]).min() > 0.1


def test_nu_bounds_the_share_left_out(inside):
    for nu in (0.1, 0.5):
        machine = OneClassSVM(nu).fit(inside[0]).machine_
        assert (machine.predict(inside[0]) < 0).mean() == pytest.approx(nu, abs=0.03)
