import numpy as np
import pytest
import torch
from torch.nn import functional as F

from oodlib.errors import OodlibError
from oodlib.tuning import tune
from oodlib.tuning.clip_adapter import adapt


@pytest.fixture
def official(golden):
    return {name: torch.from_numpy(value) for name, value in golden("clip_adapter").items() if value.dtype.kind in "fi"}


@pytest.mark.parametrize("normalised", [False, True])
def test_agrees_with_the_official_code(official, normalised):
    g = official
    images = F.normalize(g["image_raw"], dim=-1) if normalised else g["image_raw"]
    down, up = (g[name].clone().requires_grad_() for name in ("adapter_w1", "adapter_w2"))
    text = F.normalize(g["text_raw"], dim=-1)
    logits = float(g["logit_scale"]) * adapt(images, down, up, float(g["ratio"])) @ text.T
    np.testing.assert_allclose(logits.detach(), g["logits"], rtol=1e-5, atol=1e-5)
    loss = F.cross_entropy(logits, g["label"])
    loss.backward()
    np.testing.assert_allclose(float(loss.detach()), g["ce_loss"], rtol=1e-5)
    np.testing.assert_allclose(down.grad, g["grad_w1"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(up.grad, g["grad_w2"], rtol=1e-4, atol=1e-5)


def test_without_a_share_it_leaves_features_alone(no_encoder, concepts, shots, test_pictures):
    tuned = tune("clip_adapter", no_encoder, concepts, shots, ratio=0.0, epochs=2)
    torch.testing.assert_close(tuned.transform(test_pictures[0]), test_pictures[0])


def test_features_stay_normalised(no_encoder, concepts, shots, test_pictures):
    tuned = tune("clip_adapter", no_encoder, concepts, shots, epochs=2)
    torch.testing.assert_close(tuned.transform(test_pictures[0]).norm(dim=1), torch.ones(100))
    assert tuned.trained == 2 * 8 * 32


@pytest.mark.parametrize("wrong", [{"ratio": 1.5}, {"reduction": 0}])
def test_what_makes_no_sense_is_refused(wrong, no_encoder, concepts, shots):
    with pytest.raises(OodlibError, match="ratio is a share from 0 to 1"):
        tune("clip_adapter", no_encoder, concepts, shots, **wrong)
