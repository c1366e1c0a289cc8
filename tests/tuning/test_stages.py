"""Towers in two parts: the maps of first stages are kept, and what follows gives what the whole tower gives."""

import pytest
import torch
from torch.testing import assert_close

from oodlib.concepts import Concepts
from oodlib.datasets import emojishift
from oodlib.errors import OodlibError
from oodlib.tuning import Shots, encode_manifest, features_of_maps, take_shots, tune
from oodlib.tuning._stages import encode_parts

STAGES = 5


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(18, 3, 128, 128, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def shots(pocket, pictures):
    parts = encode_parts(pocket, pictures, STAGES)
    labels = torch.arange(3).repeat(6)
    return Shots(parts.features[None], labels, pictures=parts.maps[None], frozen=STAGES)


@pytest.mark.parametrize("frozen", [0, 1, STAGES])
def test_one_pass_gives_what_the_encoder_gives(pocket, pictures, frozen):
    parts = encode_parts(pocket, pictures, frozen, patches=True)
    assert_close(parts.features, pocket.encode_images(pictures), rtol=1e-4, atol=1e-5)
    assert_close(parts.patches, pocket.encode_patches(pictures), rtol=1e-4, atol=1e-5)
    assert_close(features_of_maps(pocket, parts.maps, frozen), parts.features, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["full_tuning", "lp_ft", "lora"])
def test_frozen_stages_stay_and_kept_maps_give_the_features_of_pictures(name, pocket, pictures, shots):
    concepts = Concepts.from_encoder(pocket, ["cat", "dog", "cup"])
    tuned = tune(name, pocket, concepts, shots, lr=1e-2, epochs=2, batch_size=9, frozen=STAGES)
    encoder = tuned.encoder
    before = encode_parts(pocket, pictures, STAGES)
    after = encode_parts(encoder, pictures, STAGES)
    assert torch.equal(after.maps, before.maps)
    assert not torch.allclose(after.features, before.features, atol=1e-3)
    assert_close(features_of_maps(encoder, before.maps, STAGES), encoder.encode_images(pictures), rtol=1e-4, atol=1e-5)
    whole = tune(name, pocket, concepts, Shots(shots.features, shots.labels, pictures=pictures[None]), epochs=1)
    assert tuned.trained < whole.trained


def test_shots_and_method_must_agree(pocket, small_clip, pictures, shots):
    concepts = Concepts.from_encoder(pocket, ["cat", "dog", "cup"])
    with pytest.raises(OodlibError, match=f"take the shots with frozen={STAGES - 1}"):
        tune("full_tuning", pocket, concepts, shots, frozen=STAGES - 1)
    with pytest.raises(OodlibError, match="the tower has 7 stages"):
        encode_parts(pocket, pictures, 7)
    with pytest.raises(OodlibError, match="has no stages that can be frozen"):
        encode_parts(small_clip, pictures, 1)


def test_a_manifest_is_encoded_as_its_shots_are(pocket):
    own = emojishift.benchmarks(emojishift.load(), home_hands=("twemoji",))["animals-food"].id
    few = own.select(own.table["label"].isin(sorted(own.table["label"])[:3]))
    names = sorted(set(few.table["label"]))
    shots = take_shots(pocket, few, names, views=1, patches=True, pictures=True, frozen=STAGES)
    kept = encode_manifest(pocket, few, STAGES, patches=True)
    assert_close(shots.features[0], kept.features, rtol=1e-4, atol=1e-5)
    assert_close(shots.patches[0], kept.patches, rtol=1e-4, atol=1e-5)
    assert_close(shots.pictures[0], kept.maps, rtol=1e-4, atol=1e-4)
