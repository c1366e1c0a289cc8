"""Image towers without texts, in the store like any encoder."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from oodlib.datasets import emojishift
from oodlib.datasets.images import read_image
from oodlib.embeddings import embed
from oodlib.encoders import towers
from oodlib.encoders.towers import load_tower
from oodlib.errors import OodlibError
from oodlib.pocket.patch_tower import NAMES, load_patch_tower


@pytest.fixture(scope="module")
def some(drawings):
    return [read_image(path) for path in list(drawings.values())[:4]]


@pytest.mark.parametrize("name", NAMES)
def test_a_small_tower_gives_what_its_transformer_gives(name, some):
    encoder = load_tower(name)
    tower, _ = load_patch_tower(name)
    pixels = encoder.prepare(some)
    assert pixels.shape == (len(some), 3, 48, 48)
    with torch.inference_mode():
        expected = tower.eval()(pixels)
    found = encoder.encode_images(some)
    assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert (found.norm(dim=1) - 1).abs().min() > 0.1, "features come as they are"


def test_the_imagenet_tower_has_features_behind_a_relu(some):
    encoder = load_tower("imagenet")
    found = encoder.encode_images(some)
    assert found.shape == (len(some), 1280)
    assert found.min() >= 0
    assert found.std(dim=0).max() > 0.1
    assert encoder.spec["batch_norm"] == "folded"


def test_towers_have_specifications_of_their_own():
    assert len({load_tower(name).digest for name in towers.TOWERS}) == len(towers.TOWERS)


def test_features_are_kept_as_they_are(tmp_path):
    everything, encoder = emojishift.load(), load_tower("named")
    few = everything.select(everything.table.index < 8)
    kept = embed(encoder, few, home=tmp_path).features
    again = embed(encoder, few, home=tmp_path).features
    assert torch.equal(kept, again)
    direct = encoder.encode_images([read_image(path) for path in few.paths()])
    assert_close(kept, direct, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(kept, F.normalize(kept, dim=1))


def test_what_is_no_tower_or_has_no_texts_says_so():
    with pytest.raises(OodlibError, match="there is no tower 'beit': choose one of imagenet, untaught, masked"):
        load_tower("beit")
    with pytest.raises(OodlibError, match="the tower 'masked' has no texts: take an encoder of load_encoder"):
        load_tower("masked").encode_texts(["a cat"])
