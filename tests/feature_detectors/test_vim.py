import numpy as np
import pytest
from scipy.special import logsumexp

from oodlib.errors import OodlibError
from oodlib.feature_detectors import Residual, ViM
from tests.feature_detectors.activations import drawn


@pytest.mark.parametrize("dim", [16, 32])
def test_agrees_with_openood(golden, openood, openood_head, assert_matches, dim):
    stored = golden("openood_features")
    detector = ViM(dim, **openood_head).fit(openood["train_x"])
    assert_matches(detector, "vim", f"_dim{dim}")
    assert detector.alpha_ == pytest.approx(float(stored[f"vim_alpha_dim{dim}"]), rel=1e-5)
    np.testing.assert_allclose(detector.origin_, stored[f"vim_u_dim{dim}"], atol=1e-5)


def test_without_bias_it_is_the_energy_and_the_residual(inside, head):
    features, rows = inside[0], drawn(20, seed=1)[0]
    detector = ViM(weight=head["weight"], bias=np.zeros(4)).fit(features)
    residual = Residual().fit(features)
    logits = features @ head["weight"].T
    alpha = -logits.max(axis=1).mean() / residual.score_samples(features).mean()
    expected = logsumexp(rows @ head["weight"].T, axis=1) + alpha * residual.score_samples(rows)
    np.testing.assert_allclose(detector.score_samples(rows), expected)


def test_rows_without_a_residual_are_refused(inside, head):
    with pytest.raises(OodlibError, match=r"residual: .*\b5 rows .*\b12 dimensions.* smaller dim"):
        ViM(12, weight=head["weight"], bias=np.zeros(4)).fit(inside[0][:5])
