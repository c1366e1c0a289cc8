import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from oodlib.tuning.texts import margin, released_contrast


@pytest.fixture
def official(golden):
    return {name: torch.from_numpy(value) for name, value in golden("lm_losses").items() if value.dtype.kind in "fi"}


@pytest.mark.parametrize("name", ["supcon", "margin"])
def test_both_terms_and_their_gradients_are_those_of_the_released_code(official, name):
    g = official
    pooled = g["pooled"].clone().requires_grad_()
    term = released_contrast(pooled, g["label"], float(g["tau"])) if name == "supcon" else margin(pooled, g["label"])
    assert term.item() == pytest.approx(float(g[f"contrastive_{name}"]), rel=1e-5)
    total = F.cross_entropy(g["logits"], g["label"]) + 2 * term
    assert total.item() == pytest.approx(float(g[f"loss_{name}_ce1_con2"]), rel=1e-5)


@pytest.mark.parametrize("name", ["supcon", "margin"])
def test_gradients(official, name):
    g = official
    found = []
    for weight in (1.0, 2.0):
        pooled = g["pooled"].clone().requires_grad_()
        term = (
            released_contrast(pooled, g["label"], float(g["tau"])) if name == "supcon" else margin(pooled, g["label"])
        )
        (weight * term).backward()
        found.append(pooled.grad)
    kept = g[f"grad_pooled_{name}"]
    assert any(torch.allclose(one, kept, atol=1e-6, rtol=1e-4) for one in found)


@given(st.permutations(range(8)))
def test_the_order_of_the_batch_changes_nothing(order):
    features = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2, 3])
    for loss in (released_contrast, margin):
        torch.testing.assert_close(loss(features[list(order)], labels[list(order)]), loss(features, labels))


def test_classes_that_are_points_far_apart_cost_next_to_nothing():
    features, labels = torch.eye(3)[[0, 0, 1, 1, 2, 2]] * 5, torch.tensor([0, 0, 1, 1, 2, 2])
    assert margin(features, labels) == 0
    mixed = features[[0, 2, 1, 4, 3, 5]]
    assert released_contrast(features, labels) < released_contrast(mixed, labels)


def test_without_a_mate_there_is_nothing_to_draw_together():
    features = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert released_contrast(features, torch.arange(3)) == 0
    assert margin(features, torch.arange(3)) == 0
