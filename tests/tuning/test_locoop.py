import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from oodlib.tuning.locoop import background_entropy


@pytest.mark.parametrize("top", [3, 10, 25])
def test_agrees_with_the_official_code(golden, top):
    g = golden("locoop")
    local, labels = torch.from_numpy(g["logits_local"]), torch.from_numpy(g["label"])
    np.testing.assert_allclose(background_entropy(local, labels, top), g[f"entropy_top{top}"], rtol=1e-5)


@pytest.mark.parametrize(("top", "weight", "name"), [(10, 0.25, "top10_lam0p25"), (3, 1.0, "top3_lam1p0")])
def test_the_loss_and_its_gradient_agree_with_the_official_code(golden, top, weight, name):
    g = golden("locoop")
    logits, local = (torch.from_numpy(g[key]).requires_grad_() for key in ("logits", "logits_local"))
    labels = torch.from_numpy(g["label"])
    loss = F.cross_entropy(logits, labels) - weight * background_entropy(local, labels, top)
    loss.backward()
    np.testing.assert_allclose(float(loss.detach()), g[f"loss_{name}"], rtol=1e-5)
    np.testing.assert_allclose(logits.grad, g[f"grad_logits_{name}"], rtol=1e-4, atol=1e-7)
    if f"grad_logits_local_{name}" in g:
        np.testing.assert_allclose(local.grad, g[f"grad_logits_local_{name}"], rtol=1e-4, atol=1e-7)


def test_no_background_has_no_entropy():
    logits = torch.randn(2, 3, 4, requires_grad=True)
    assert background_entropy(logits, torch.tensor([0, 1]), top=4) == 0


@given(st.integers(1, 4), st.integers(0, 100))
def test_entropy_lies_between_certainty_and_ignorance(top, seed):
    logits = 3 * torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(seed))
    found = float(background_entropy(logits, torch.tensor([0, 4]), top))
    assert -1e-4 <= found <= np.log(5) + 1e-4
