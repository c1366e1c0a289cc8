import numpy as np
import pytest
import torch

from oodlib.errors import OodlibError
from oodlib.evaluation.angles import compactness, dispersion
from oodlib.tuning.texts import TextClassifier


@pytest.fixture(scope="module")
def texts():
    """Features of three classes that overlap."""
    draw = np.random.default_rng(0)
    labels = np.repeat(["animal", "body", "food"], 60)
    centres = draw.normal(size=(3, 24))
    return (centres[np.repeat(range(3), 60)] + 1.5 * draw.normal(size=(180, 24))).astype(np.float32), labels


@pytest.mark.parametrize("loss", ["ce", "ce_supcon", "margin"])
def test_it_learns_and_keeps_every_epoch(texts, loss):
    X, y = texts
    model = TextClassifier(loss, epochs=4, rank=8, lr=3e-3).fit(X, y)
    assert len(model.stages_) == 5
    np.testing.assert_array_equal(model.stages_[0].transform(X), X)
    assert not model.stages_[0].logits(X).any()
    right = [(model.classes_[stage.logits(X).argmax(1)] == y).mean() for stage in model.stages_[1:]]
    assert right[-1] > 0.9
    assert len(model.losses_) == 4 * 3


def test_contrast_draws_classes_together_and_apart(texts):
    X, y = texts
    for loss in ("ce_supcon", "margin"):
        moved = TextClassifier(loss, epochs=6, rank=8, lr=3e-3).fit(X, y).stages_[-1].transform(X)
        assert compactness(moved, y) < compactness(X, y)
    supcon = TextClassifier("ce_supcon", epochs=6, rank=8, lr=3e-3).fit(X, y).stages_[-1].transform(X)
    assert dispersion(supcon, y) > dispersion(X, y)


def test_a_seed_is_a_training(texts):
    X, y = texts
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, same, other = (TextClassifier(epochs=1, rank=4).fit(X, y, seed=seed).stages_[-1] for seed in (0, 0, 1))
    assert torch.equal(first.weight, same.weight)
    assert not torch.equal(first.weight, other.weight)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"loss": "hinge"}, "choose one of ce"),
        ({"y": ["animal"] * 180}, "one class"),
        ({"y": ["animal", "body"]}, "one for each row"),
    ],
)
def test_what_cannot_be_trained(texts, change, sentence):
    X, y = texts
    with pytest.raises(OodlibError, match=sentence):
        TextClassifier(change.get("loss", "ce")).fit(X, change.get("y", y))
