import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch.nn import functional as F

from oodlib.errors import OodlibError
from oodlib.tuning._outlier_losses import uncertainty, weighted_energy
from oodlib.tuning._released import rebuilt_energy
from oodlib.tuning.sources import Known
from oodlib.tuning.sources.vos import VOS, farthest_draws, least_likely, shared_gaussian


@pytest.fixture
def official(golden):
    return {name: torch.from_numpy(value) for name, value in golden("vos").items() if value.dtype.kind in "fi"}


def test_gaussians_and_outliers_agree_with_the_official_code(official):
    g = official
    means, covariance = shared_gaussian(list(g["queue_after"]), float(g["jitter"]))
    np.testing.assert_allclose(means, g["class_mean"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(covariance, g["covariance"], rtol=1e-5, atol=1e-6)
    rows = least_likely(g["eps"], int(g["select"]))
    assert torch.equal(rows, g["outlier_index"])
    noise = g["eps"][torch.arange(5), rows[:, 0]]
    np.testing.assert_allclose(means + noise @ torch.linalg.cholesky(covariance).T, g["outliers"], rtol=1e-5, atol=1e-5)


def test_the_step_agrees_with_the_official_code(official):
    """Losses and every gradient of one training step, to those of the network's last layer."""
    g = official
    names = ("fc_W", "fc_b", "energy_weight", "logistic_W", "logistic_b")
    weight, bias, energy, slope, offset = (g[name].clone().requires_grad_() for name in names)
    inside, outside = (F.linear(rows, weight, bias) for rows in (g["feature"], g["outliers"]))
    np.testing.assert_allclose(outside.detach(), g["logits_outlier"], rtol=1e-5, atol=1e-5)
    energies = [weighted_energy(logits, energy) for logits in (inside, outside)]
    for found, name in zip(energies, ("energy_id", "energy_outlier"), strict=True):
        np.testing.assert_allclose(found.detach(), g[name], rtol=1e-5, atol=1e-5)
    second = uncertainty(*energies, slope, offset)
    np.testing.assert_allclose(second.item(), g["uncertainty_loss"], rtol=1e-5)
    total = F.cross_entropy(inside, g["label"]) + float(g["loss_weight"]) * second
    np.testing.assert_allclose(total.item(), g["total_loss"], rtol=1e-5)
    total.backward()
    for found, name in zip((weight, bias, energy, slope, offset), names, strict=True):
        np.testing.assert_allclose(found.grad, g[f"grad_{name}"], rtol=1e-4, atol=1e-5)


def test_the_benchmarks_energy_moves_nothing(official):
    """With any weight of the second loss the network's gradient is that of the first, to the last bit."""
    g = official

    def gradient(share, energy_of):
        weight = g["fc_W"].clone().requires_grad_()
        inside, outside = (F.linear(rows, weight, g["fc_b"]) for rows in (g["feature"], g["outliers"]))
        slope, offset = (g[name].clone().requires_grad_() for name in ("logistic_W", "logistic_b"))
        second = uncertainty(energy_of(inside), energy_of(outside), slope, offset)
        (F.cross_entropy(inside, g["label"]) + share * second).backward()
        return weight.grad

    generator = torch.Generator().manual_seed(0)
    released = [gradient(share, lambda logits: rebuilt_energy(logits, generator)) for share in (0.0, 5.0)]
    assert torch.equal(*released)
    official_way = [gradient(share, lambda logits: weighted_energy(logits, g["energy_weight"])) for share in (0.0, 5.0)]
    assert (official_way[1] - official_way[0]).norm() > 0.1 * official_way[0].norm()


def test_the_farthest_draw_is_made_as_if_all_had_been():
    generator = torch.Generator().manual_seed(0)
    short = farthest_draws(400, 50, 8, generator)
    drawn = torch.randn(400, 50, 8, generator=generator)
    long = drawn[torch.arange(400), least_likely(drawn, 1)[:, 0]]
    assert kstest(short.norm(dim=1), long.norm(dim=1)).pvalue > 0.01
    assert kstest(short[:, 0], long[:, 0]).pvalue > 0.01
    assert kstest(short.norm(dim=1), drawn[:, 0].norm(dim=1)).pvalue < 1e-6


@pytest.mark.parametrize(("dims", "ratio"), [(128, 1.25), (384, 1.14), (512, 1.12)])
def test_in_many_dimensions_the_farthest_draw_is_hardly_farther(dims, ratio):
    far = farthest_draws(2000, 10_000, dims, torch.Generator().manual_seed(0))
    assert far.norm(dim=1).mean() / dims**0.5 == pytest.approx(ratio, abs=0.015)


def test_outliers_lie_farther_out_than_the_data(queues):
    made = VOS().bank(queues, 20)
    means, covariance = shared_gaussian(queues.queues(1000), 1e-4)
    whiten = torch.linalg.inv(torch.linalg.cholesky(covariance)).T
    own = means.repeat_interleave(20, dim=0)
    assert made.shape == own.shape
    far = ((made - own) @ whiten).norm(dim=1)
    near = ((queues.features - means[queues.labels]) @ whiten).norm(dim=1)
    assert far.min() > near.max()


def test_one_picture_of_every_class_cannot_start():
    with pytest.raises(OodlibError, match="VOS cannot start: no class has two different features"):
        VOS().bank(Known(torch.eye(3), torch.arange(3)), 4)
    twice = Known(torch.eye(3).repeat(2, 1), torch.arange(3).repeat(2))
    with pytest.raises(OodlibError, match="pass more shots, or more views"):
        VOS().bank(twice, 4)


def test_what_makes_no_sense_is_refused(queues):
    with pytest.raises(OodlibError, match="sample is at least 1, and jitter above 0"):
        VOS(sample=0).bank(queues, 1)
