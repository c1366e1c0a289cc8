"""Pseudo-OOD regularisation: the hinge, and what it does beside cross-entropy alone."""

import pytest
import torch

from oodlib.errors import OodlibError
from oodlib.feature_detectors import get_feature_detector
from oodlib.tuning import Shots, get_tuner, tune
from oodlib.tuning._outlier_losses import closer_than
from oodlib.tuning.pseudo_ood import Nearness
from oodlib.tuning.sources import Known
from oodlib.tuning.sources.given import Given
from oodlib.tuning.sources.np_mix import NPMix

FAST = {"epochs": 5, "batch_size": 10, "lr": 1e-3}


@pytest.fixture
def bank(classes):
    """Between the classes: nearer to them than some pictures are."""
    return NPMix().bank(Known(classes, torch.arange(len(classes))), 6)


def equal(first, second):
    return all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_distances_are_those_of_the_detector(shots):
    near = Nearness(shots, 0.99)
    views = shots.features.flatten(end_dim=1)
    detector = get_feature_detector("mahalanobis").fit(views, shots.labels.repeat(len(shots.features)))
    expected = torch.from_numpy(-detector.score_samples(views)).sqrt().float()
    assert torch.allclose(near.distances(views), expected, rtol=1e-4)
    assert near.margin == pytest.approx(float(expected.quantile(0.99)), rel=1e-4)


def test_held_texts_lie_farther_out_and_give_the_margin():
    """With hardly more shots than columns, the shots' own distances are far below those of texts like them."""
    draw = torch.Generator().manual_seed(0)
    centres, spread = 3 * torch.randn(2, 40, generator=draw), torch.logspace(-2, 2, 40)

    def texts(count):
        labels = torch.arange(2).repeat(count)
        return centres[labels] + spread * torch.randn(2 * count, 40, generator=draw), labels

    (features, labels), (held, _) = texts(30), texts(200)
    shots = Shots(features[None], labels)
    own, near = Nearness(shots, 0.99), Nearness(shots, 0.99, held)
    assert (own.distances(held) > own.margin).float().mean() > 0.1
    assert near.margin == pytest.approx(float(own.distances(held).quantile(0.99)))
    assert near.margin > 1.1 * own.margin
    assert torch.equal(own.distances(held), near.distances(held))


def test_the_held_margin_reaches_the_training(no_encoder, concepts, shots, bank):
    given = {"source": Given(bank), "gamma": 5.0, **FAST}
    own = tune("pseudo_ood", no_encoder, concepts, shots, **given)
    wide = tune("pseudo_ood", no_encoder, concepts, shots, held=3 * shots.features[0], **given)
    assert wide.losses[0] > own.losses[0]


@pytest.mark.parametrize("held", [torch.zeros(0, 32), torch.ones(4, 31), torch.ones(32)])
def test_held_features_of_another_shape_are_refused(held, shots):
    with pytest.raises(OodlibError, match=r"held ID features have the shape .*: pass \(n, 32\)"):
        Nearness(shots, 0.99, held)


def test_the_hinge_counts_what_falls_short():
    distances = torch.tensor([1.0, 2.5, 9.0], requires_grad=True)
    loss = closer_than(distances, 3.0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(2.5 / 3)
    assert torch.allclose(distances.grad, torch.tensor([-1 / 3, -1 / 3, 0.0]))


def test_without_weight_it_is_cross_entropy_alone(no_encoder, concepts, shots, bank):
    alone = tune("pseudo_ood", no_encoder, concepts, shots, **FAST)
    weightless = tune("pseudo_ood", no_encoder, concepts, shots, source=Given(bank), gamma=0.0, **FAST)
    assert equal(alone, weightless)
    assert alone.losses == weightless.losses


def test_the_gradient_moves_the_map_away_from_the_classes(no_encoder, concepts, shots, bank):
    alone = tune("pseudo_ood", no_encoder, concepts, shots, **FAST)
    told = tune("pseudo_ood", no_encoder, concepts, shots, source=Given(bank), gamma=5.0, **FAST)
    assert not torch.equal(alone.state["up"], told.state["up"])
    near = Nearness(shots, 0.99)
    apart = [near.distances(tuned.transform(bank)).mean() for tuned in (alone, told)]
    assert apart[1] > apart[0]


def test_it_starts_from_the_probe(no_encoder, concepts, shots):
    start = tune("pseudo_ood", no_encoder, concepts, shots, epochs=0)
    probe = tune("linear_probe", no_encoder, concepts, shots)
    assert torch.equal(start.state["weight"], probe.state["weight"])
    assert torch.allclose(start.transform(shots.features[0]), shots.features[0], atol=1e-6)
    assert torch.allclose(start.concepts.match(shots.features[0]), probe.concepts.match(shots.features[0]), atol=1e-6)


def test_seeds_reproduce(no_encoder, concepts, shots, bank):
    first, again, other = (
        tune("pseudo_ood", no_encoder, concepts, shots, source=Given(bank), seed=seed, **FAST) for seed in (1, 1, 2)
    )
    assert equal(first, again)
    assert not equal(first, other)


@pytest.mark.parametrize("setting", [{"gamma": -1.0}, {"quantile": 0.0}, {"quantile": 1.5}])
def test_values_out_of_range_are_refused(setting, no_encoder, concepts, shots):
    with pytest.raises(OodlibError, match="gamma is at least 0, and quantile above 0"):
        tune(get_tuner("pseudo_ood", **setting), no_encoder, concepts, shots)
