"""Any tower of timm, with random weights."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from torch.testing import assert_close

from oodlib.datasets.images import read_image
from oodlib.encoders.timm_towers import load_timm
from oodlib.errors import OodlibError
from oodlib.feature_detectors import get_feature_detector


@pytest.fixture(scope="module")
def some(drawings):
    return [read_image(path) for path in list(drawings.values())[:6]]


def test_features_are_those_of_timm_with_its_own_preprocessing_and_a_weight_file(some, tmp_path):
    torch.manual_seed(3)
    whole = timm.create_model("test_vit").eval()  # with its classifier, which is left out
    file = tmp_path / "weights.safetensors"
    save_file(whole.state_dict(), file)
    steps = create_transform(**resolve_model_data_config(whole), is_training=False)
    with torch.inference_mode():
        batch = torch.stack([steps(picture.convert("RGB")) for picture in some])
        expected = whole.forward_head(whole.forward_features(batch), pre_logits=True)
    encoder = load_timm("test_vit", str(file))
    assert_close(encoder.encode_images(some), expected, atol=1e-4, rtol=1e-4)
    assert encoder.digest != load_timm("test_vit", "random").digest


def test_other_weights_under_one_name_have_another_digest(monkeypatch):
    """Those that timm downloads may change while name and tag stay."""
    made = timm.create_model

    def changed(name, **how):
        tower = made(name, **how)
        with torch.no_grad():
            next(tower.parameters()).add_(1e-3)
        return tower

    before = load_timm("test_vit", "random").digest
    monkeypatch.setattr(timm, "create_model", changed)
    assert load_timm("test_vit", "random").digest != before


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_a_detector_takes_the_features_of_a_random_tower(name, some):
    encoder = load_timm(name, "random")
    features = encoder.encode_images(some)
    assert torch.equal(features, load_timm(name, "random").encode_images(some)), "the seed is fixed"
    scores = get_feature_detector("knn", n_neighbors=1).fit(features.numpy()).score_samples(features.numpy())
    assert len(scores) == len(some)


def test_what_cannot_be_loaded_says_so(tmp_path):
    with pytest.raises(OodlibError, match=r"timm has no tower 'bait': `timm.list_models\(\)` lists the names"):
        load_timm("bait")
    with pytest.raises(OodlibError, match="of test_vit are no file in safetensors: pass such a file, 'random', or"):
        load_timm("test_vit", str(tmp_path / "none.safetensors"))
    with pytest.raises(OodlibError, match="the tower 'test_vit' has no texts"):
        load_timm("test_vit", "random").encode_texts(["a cat"])
