import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from oodlib.tuning._outlier_losses import (
    away_from_prototypes,
    contrastive,
    logit_norm,
    to_uniform,
    uncertainty,
    weighted_energy,
)


@pytest.fixture
def official(golden):
    return {name: torch.from_numpy(value) for name, value in golden("npos").items() if value.dtype.kind in "fi"}


@pytest.mark.parametrize(("temperature", "name"), [(8.0, "logitnorm_T8"), (0.04, "logitnorm_T0p04")])
def test_logit_norm_agrees_with_the_official_code(official, temperature, name):
    g = official
    loss = F.cross_entropy(logit_norm(g["logits"], temperature), g["label"])
    np.testing.assert_allclose(loss.item(), g[name], rtol=1e-5)


def test_at_the_released_temperature_outliers_teach_next_to_nothing():
    """The exposure's gradient against that of the cross-entropy beside it."""
    shares = {}
    for temperature in (0.04, 8.0):
        logits = 30 * torch.rand(20, 50, generator=torch.Generator().manual_seed(0))
        inside, outside = logits[:10].clone().requires_grad_(), logits[10:].clone().requires_grad_()
        F.cross_entropy(logit_norm(inside, temperature), torch.arange(10)).backward()
        to_uniform(logit_norm(outside, temperature)).backward()
        shares[temperature] = float(outside.grad.norm() / inside.grad.norm())
    assert shares[8.0] < 0.02
    assert shares[0.04] > 10 * shares[8.0]


def test_contrast_agrees_with_the_official_code(official):
    """Their loss is multiplied by the temperature over a base temperature, 0.07 unless it is said."""
    g = official
    labels = g["z_label"][:12].repeat(2)  # the second half are other views of the first
    two_views = contrastive(g["z"], labels, 0.07), contrastive(g["z"], labels, 0.1)
    np.testing.assert_allclose(two_views[0].item(), g["supcon_tau0p07_base0p07"], rtol=1e-5)
    np.testing.assert_allclose(two_views[1].item(), g["supcon_tau0p1_base0p1"], rtol=1e-5)
    np.testing.assert_allclose(0.1 / 0.07 * two_views[1].item(), g["supcon_tau0p1_base0p07"], rtol=1e-5)
    one_view = contrastive(g["z"], g["one_view_label"], 0.1)
    np.testing.assert_allclose(one_view.item(), g["supcon_one_view_tau0p1"], rtol=1e-5)


def test_contrast_with_outliers_is_the_plain_loop():
    generator = torch.Generator().manual_seed(0)
    z, o = (F.normalize(torch.randn(n, 6, generator=generator), dim=1) for n in (7, 3))
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 0])  # the only one of class 2 has no mate
    losses = []
    for i in range(7):
        mates = [p for p in range(7) if p != i and labels[p] == labels[i]]
        below = sum(math.exp(float(z[i] @ z[a]) / 0.2) for a in range(7) if a != i)
        below += sum(math.exp(float(z[i] @ row) / 0.2) for row in o)
        if mates:
            losses.append(-np.mean([math.log(math.exp(float(z[i] @ z[p]) / 0.2) / below) for p in mates]))
    assert contrastive(z, labels, 0.2, o).item() == pytest.approx(np.mean(losses), rel=1e-5)


def test_outliers_only_push(official):
    """A step against the gradient takes an outlier away from ID features, and outliers say nothing of each other."""
    z = F.normalize(torch.randn(8, 6, generator=torch.Generator().manual_seed(1)), dim=1)
    labels = torch.arange(4).repeat(2)
    outliers = z[:2].clone().requires_grad_()
    contrastive(z, labels, 0.1, outliers).backward()
    assert ((outliers - 0.01 * outliers.grad).detach() @ z.T).max() < (outliers.detach() @ z.T).max()
    alone = z[:1].clone().requires_grad_()
    again = torch.cat([alone, z[1:2]])
    contrastive(z, labels, 0.1, again).backward()
    assert torch.allclose(alone.grad, outliers.grad[:1])


def test_without_mates_there_is_nothing_to_contrast():
    z = torch.eye(3, requires_grad=True)
    loss = contrastive(z, torch.arange(3), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None


def test_a_uniform_outlier_costs_log_c_and_a_sure_one_more():
    assert to_uniform(torch.zeros(4, 8)).item() == pytest.approx(math.log(8))
    assert to_uniform(5 * torch.eye(8)).item() > math.log(8)


def test_without_a_positive_weight_there_is_no_energy():
    logits = torch.randn(3, 4)
    assert weighted_energy(logits, torch.tensor([-1.0, -2.0, -0.5, -3.0])).isneginf().all()
    torch.testing.assert_close(weighted_energy(logits, torch.ones(4)), logits.logsumexp(dim=1))


def test_every_loss_moves_what_it_should():
    """Gradients reach logits of ID and of outliers, and all that is learned beside them."""
    logits = [torch.randn(5, 4, generator=torch.Generator().manual_seed(k)).requires_grad_() for k in (0, 1)]
    weight, slope = torch.rand(4).requires_grad_(), torch.randn(2, 1, generator=torch.Generator().manual_seed(2))
    slope, bias = slope.requires_grad_(), torch.zeros(2).requires_grad_()
    uncertainty(*(weighted_energy(rows, weight) for rows in logits), slope, bias).backward()
    assert all(part.grad.abs().sum() > 0 for part in (*logits, weight, slope, bias))
    outside = logits[1].detach().requires_grad_()
    to_uniform(logit_norm(outside)).backward()
    assert outside.grad.abs().sum() > 0


def test_only_what_matches_beyond_the_margin_is_pushed_away():
    outliers = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    away_from_prototypes(outliers, torch.tensor([[0.8, 0.6]]), 0.2).backward()
    assert outliers.grad[0].abs().sum() > 0
    assert outliers.grad[1].abs().sum() == 0
