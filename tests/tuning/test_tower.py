"""Methods that change the image tower: they need pictures, and give another encoder."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.testing import assert_close

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.errors import OodlibError
from oodlib.prompts.capabilities import Capabilities
from oodlib.tuning import Shots, get_tuner, tune
from oodlib.tuning.linear_probe import LinearProbe
from oodlib.tuning.lora import matrices

METHODS = {
    "full_tuning": {"lr": 1e-3, "epochs": 6},
    "lp_ft": {"lr": 1e-3, "epochs": 6},
    "lora": {"lr": 1e-2, "epochs": 6, "alpha": 4},
}
all_methods = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def drawn():
    """Pictures of four classes: each a colour pattern with noise."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.randn(4, 3, 32, 32, generator=generator)
    labels = torch.arange(4).repeat(4)
    return patterns[labels] + 0.7 * torch.randn(2, 16, 3, 32, 32, generator=generator), labels


@pytest.fixture
def shots(small_clip, drawn):
    pictures, labels = drawn
    return Shots(torch.stack([small_clip.encode_images(view) for view in pictures]), labels, pictures=pictures)


@pytest.fixture
def concepts(small_clip):
    return Concepts.from_encoder(small_clip, ["cat", "dog", "cup", "tree"])


@all_methods
def test_the_loss_falls_and_the_model_given_stays(name, small_clip, concepts, shots, drawn):
    before = small_clip.encode_images(drawn[0][0])
    wanted = [parameter.requires_grad for parameter in small_clip.model.parameters()]
    tuned = tune(name, small_clip, concepts, shots, batch_size=8, **METHODS[name])
    assert sum(tuned.losses[-3:]) < sum(tuned.losses[:3])
    assert torch.equal(small_clip.encode_images(drawn[0][0]), before)
    assert [parameter.requires_grad for parameter in small_clip.model.parameters()] == wanted
    assert not torch.allclose(tuned.encoder.encode_images(drawn[0][0]), before, atol=1e-3)


def test_the_new_encoder_declares_what_the_one_it_started_from_does(small_clip, concepts, shots, monkeypatch):
    monkeypatch.setattr(small_clip, "capabilities", Capabilities("drawings"))
    tuned = tune("full_tuning", small_clip, concepts, shots, batch_size=8, epochs=1)
    assert tuned.encoder.capabilities == Capabilities("drawings")


@all_methods
def test_the_new_encoder_is_another_one_to_the_store(name, small_clip, concepts, shots):
    first, second = (tune(name, small_clip, concepts, shots, seed=s, batch_size=8, **METHODS[name]) for s in (0, 1))
    assert len({small_clip.digest, first.encoder.digest, second.encoder.digest}) == 3
    again = tune(name, small_clip, concepts, shots, seed=0, batch_size=8, **METHODS[name])
    assert again.encoder.digest == first.encoder.digest


@all_methods
def test_detectors_read_the_head(name, small_clip, concepts, shots, drawn):
    tuned = tune(name, small_clip, concepts, shots, batch_size=8, **METHODS[name])
    features = tuned.encoder.encode_images(drawn[0][0])
    logits = features @ tuned.state["head.weight"].T + tuned.state["head.bias"]
    detector = get_detector("msp").fit(tuned.concepts)
    found = detector.to_paper(detector.score_samples(features))
    assert_close(found, logits.softmax(1).amax(1), rtol=1e-4, atol=1e-5)


@all_methods
def test_an_interrupted_run_ends_as_an_uninterrupted_one(name, interrupt, tmp_path, small_clip, concepts, shots):
    setting = {"seed": 2, "batch_size": 8, **METHODS[name]}
    whole = tune(name, small_clip, concepts, shots, **setting)
    path = tmp_path / "state"
    interrupt(8, 4, lambda: tune(name, small_clip, concepts, shots, checkpoint=path, **setting))
    resumed = tune(name, small_clip, concepts, shots, checkpoint=path, **setting)
    for key, tensor in whole.state.items():
        # peft adds its product to attention weights and takes it away again in every step, which rounds them
        assert_close(resumed.state[key], tensor, rtol=0, atol=1e-4 if name == "lora" else 0)


def test_lora_on_convolutions_resumes_exactly(interrupt, tmp_path, pocket, drawn):
    pictures, labels = drawn
    concepts = Concepts.from_encoder(pocket, ["cat", "dog", "cup", "tree"])

    def features(encoder):  # by the tower itself: `encode_images` takes pictures of the model's size, 16 times these
        with torch.no_grad():
            return torch.stack([normalize(encoder.model.visual(view), dim=-1) for view in pictures])

    shots = Shots(features(pocket), labels, pictures=pictures)
    setting = {"seed": 2, "batch_size": 8, "epochs": 3}
    whole = tune("lora", pocket, concepts, shots, **setting)
    interrupt(4, 2, lambda: tune("lora", pocket, concepts, shots, checkpoint=tmp_path / "state", **setting))
    resumed = tune("lora", pocket, concepts, shots, checkpoint=tmp_path / "state", **setting)
    assert all(torch.equal(whole.state[key], resumed.state[key]) for key in whole.state)
    assert not torch.allclose(features(resumed.encoder), shots.features, atol=1e-6)


def test_full_tuning_starts_from_the_zero_shot_classifier(small_clip, concepts, shots):
    tuned = tune("full_tuning", small_clip, concepts, shots, epochs=1, batch_size=16, lr=0.0, weight_decay=0.0)
    assert_close(tuned.concepts.match(shots.features[0]), shots.features[0] @ concepts.text.T, rtol=1e-4, atol=1e-5)
    assert tuned.trained == sum(p.numel() for p in small_clip.model.visual.parameters()) + 4 * 32 + 4


def test_lp_ft_starts_from_the_probe(small_clip, concepts, shots):
    tuned = tune("lp_ft", small_clip, concepts, shots, epochs=1, batch_size=16, lr=0.0, weight_decay=0.0, C=2.0)
    weight, bias = LinearProbe(2.0).solve(concepts, shots)
    assert torch.equal(tuned.state["head.weight"], weight)
    assert torch.equal(tuned.state["head.bias"], bias)


def test_lora_trains_little_and_leaves_no_adapter_behind(small_clip, concepts, shots, drawn):
    tuned = tune("lora", small_clip, concepts, shots, batch_size=8, **METHODS["lora"])
    names = {name for name, _ in tuned.encoder.model.visual.named_modules()}
    assert names == {name for name, _ in small_clip.model.visual.named_modules()}
    with torch.no_grad():
        merged = tuned.encoder.model.visual.transformer.resblocks[0].attn.in_proj_weight
    assert not torch.allclose(merged, small_clip.model.visual.transformer.resblocks[0].attn.in_proj_weight, atol=1e-4)
    full = sum(parameter.numel() for parameter in small_clip.model.visual.parameters())
    assert tuned.trained < full / 3


def test_what_lora_can_change_of_each_tower(small_clip, pocket):
    assert "transformer.resblocks.0.attn" in matrices(small_clip.model.visual)
    assert "transformer.resblocks.0.attn.out_proj" not in matrices(small_clip.model.visual)
    tower = pocket.model.visual
    chosen = [tower.get_submodule(name) for name in matrices(tower)]
    assert len(chosen) > 20
    assert all(isinstance(m, nn.Linear) or m.kernel_size == (1, 1) for m in chosen)


def test_pictures_are_asked_for(small_clip, concepts, shots):
    with pytest.raises(OodlibError, match="FullTuning needs the shots' pictures"):
        tune("full_tuning", small_clip, concepts, Shots(shots.features, shots.labels))


def test_a_rank_of_nothing_is_refused(small_clip, concepts, shots):
    with pytest.raises(OodlibError, match="the rank must be at least 1"):
        tune(get_tuner("lora", rank=0), small_clip, concepts, shots)
