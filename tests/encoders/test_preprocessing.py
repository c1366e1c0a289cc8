import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from oodlib.encoders.load import load_encoder
from oodlib.encoders.preprocessing import VARIANTS, preprocessing
from oodlib.errors import OodlibError

OWN = {"size": (224, 224), "mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
# As the papers' code has them, written out.
BY_HAND = {
    "openai": [transforms.Resize(224, interpolation=InterpolationMode.BICUBIC), transforms.CenterCrop(224)],
    "mcm": [transforms.Resize(224), transforms.CenterCrop(224)],
    "openood": [transforms.Resize(256, interpolation=InterpolationMode.BICUBIC), transforms.CenterCrop(224)],
}


@pytest.fixture(scope="module")
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 401, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", BY_HAND)
def test_a_variant_is_what_torchvision_makes_of_it(name, picture):
    rest = [transforms.ToTensor(), transforms.Normalize(OWN["mean"], OWN["std"])]
    expected = transforms.Compose(BY_HAND[name] + rest)(picture)
    assert_close(preprocessing(name, OWN)[0](picture), expected, rtol=0, atol=0)


def test_every_variant_is_written_out_here_and_differs(picture):
    assert BY_HAND.keys() == VARIANTS.keys()
    prepared = [preprocessing(name, OWN)[0](picture) for name in VARIANTS]
    assert all((one - other).abs().mean() > 0.01 for k, one in enumerate(prepared) for other in prepared[:k])


def test_a_model_of_another_side_is_scaled_in_proportion():
    assert preprocessing("openood", OWN | {"size": 128})[1]["resize"] == 146
    assert preprocessing("mcm", OWN | {"size": (336, 336)})[1]["resize"] == 336


def test_unknown_variant_is_named_with_the_choices():
    with pytest.raises(OodlibError, match="no preprocessing 'clip': choose one of openai, mcm, openood"):
        load_encoder("pocket", preprocess="clip")


def test_the_encoder_uses_and_records_it(pocket, picture):
    """The fast path of `prepare` and the slow one agree; features of different variants are never mixed up."""
    encoders = [pocket, *(load_encoder("pocket", preprocess=name) for name in VARIANTS)]
    assert len({encoder.digest for encoder in encoders}) == len(encoders)
    for encoder, name in zip(encoders[1:], VARIANTS, strict=True):
        assert encoder.spec["preprocess"]["variant"] == name
        assert_close(encoder.prepare([picture])[0], encoder.preprocess(picture))
    assert "variant" not in pocket.spec["preprocess"]
    assert_close(encoders[1].prepare([picture]), pocket.prepare([picture]))  # PocketCLIP's own is OpenAI's, at its side
    assert not torch.equal(encoders[3].prepare([picture]), pocket.prepare([picture]))


def test_the_default_says_what_it_always_said(pocket):
    """A word more in the specification, and every kept feature would be made again."""
    assert set(pocket.spec) == {
        "model",
        "pretrained",
        "weights_sha256",
        "files_sha256",
        "quick_gelu",
        "preprocess",
        "normalised",
        "precision",
        "device",
        "versions",
        "batch_norm",
    }
    assert set(pocket.spec["preprocess"]) == {
        "size",
        "mean",
        "std",
        "mode",
        "interpolation",
        "resize_mode",
        "fill_color",
    }
