import numpy as np
import pytest
import torch
from torch.nn import functional as F

from oodlib.errors import OodlibError
from oodlib.tuning._outlier_losses import to_uniform
from oodlib.tuning.sources import Known
from oodlib.tuning.sources.base import mean_of
from oodlib.tuning.sources.words import Words, placed


@pytest.fixture
def official(golden):
    return {name: torch.from_numpy(value) for name, value in golden("toe").items() if value.dtype.kind in "fi"}


@pytest.mark.parametrize(("case", "times"), [("noise", 0), ("offset_noise", 2)])
def test_outliers_agree_with_the_official_code(official, case, times):
    g = official
    noise = float(g["noise_variance"]) ** 0.5 * g["normal_noise"]
    offset = mean_of(g["image_feature"]) - mean_of(g["text_outlier"])
    made = placed(g["text_outlier"], offset, times, noise)
    np.testing.assert_allclose(made, g[f"outlier_used_{case}"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", ["plain", "noise", "offset_noise", "textmap"])
def test_the_step_agrees_with_the_official_code(official, case):
    g = official
    weight = g["W"].clone().requires_grad_()
    inside, outside = (F.linear(g[f"{who}_used_{case}"], weight, g["b"]) for who in ("image", "outlier"))
    loss = F.cross_entropy(inside, g["label"]) + float(g["oe_weight"]) * to_uniform(outside)
    # Theirs is the mean of (mean logit - logsumexp) with a minus: the same.
    np.testing.assert_allclose(loss.item(), g[f"loss_{case}"], rtol=1e-5)
    loss.backward()
    after = weight.detach() - float(g["lr"]) * weight.grad
    np.testing.assert_allclose(after, g[f"W_after_{case}"], rtol=1e-4, atol=1e-5)


def test_every_word_comes_before_one_comes_twice(queues):
    made = Words(variance=0.0).bank(queues, 3)
    text = F.normalize(queues.outlier_text, dim=1)
    closest = (made @ text.T).argmax(dim=1)
    assert len(made) == 15
    assert closest.unique().numel() == min(15, len(text))


def test_noise_leaves_little_of_the_word():
    """In 512 dimensions the default noise is almost three times as long as the word."""
    text = F.normalize(torch.randn(200, 512, generator=torch.Generator().manual_seed(0)), dim=1)
    noise = 0.016**0.5 * torch.randn(200, 512, generator=torch.Generator().manual_seed(1))
    left = (placed(text, torch.zeros(512), 0, noise) * text).sum(dim=1)
    assert float(left.mean()) == pytest.approx(0.33, abs=0.02)


def test_the_offset_brings_words_to_the_pictures(queues):
    pictures = mean_of(queues.features)
    near = [float(mean_of(Words(0.0, offset).bank(queues, 4)) @ pictures) for offset in ("none", "once", "twice")]
    assert near == sorted(near)


def test_words_are_asked_for(queues):
    with pytest.raises(OodlibError, match="outliers from words need words: pass Concepts"):
        Words().bank(Known(queues.features, queues.labels), 1)
    with pytest.raises(OodlibError, match="offset is one of none, once, twice"):
        Words(offset="thrice").bank(queues, 1)
