"""Learned prompts through two text towers: open_clip's own transformer and the Hugging Face tower of PocketCLIP."""

import pytest
import torch
from torch.testing import assert_close

from oodlib.concepts import Concepts
from oodlib.errors import OodlibError
from oodlib.tuning import Shots, tune
from oodlib.tuning._prompts import Prompts, frozen, table, words

NAMES = ["cat", "red apple", "hot-air balloon", "x-ray"]


@pytest.fixture(params=["small_clip", "pocket"])
def encoder(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def concepts(encoder):
    return Concepts.from_encoder(encoder, NAMES, templates=["a photo of a {}."])


@pytest.fixture
def shots(concepts):
    """Two pictures a class, somewhere between its name and the next one's."""
    labels = torch.arange(len(NAMES)).repeat(2)
    noise = torch.randn(2, len(labels), concepts.text.shape[1], generator=torch.Generator().manual_seed(0))
    mixed = concepts.text[labels] + 1.2 * concepts.text[(labels + 1) % len(NAMES)] + 0.02 * noise
    return Shots(torch.nn.functional.normalize(mixed, dim=-1), labels)


def test_words_in_place_of_fillers_give_the_written_prompt(encoder):
    vectors = words(encoder, "a photo of a")
    assert len(vectors) == 4
    found = Prompts(encoder, NAMES, 4).encode_all(vectors)
    assert_close(found, encoder.encode_texts(NAMES, ["a photo of a {}."]), rtol=1e-4, atol=1e-5)


def test_vectors_of_each_prompt_are_its_own(encoder):
    prompts = Prompts(encoder, NAMES, 2)
    vectors = torch.randn(len(NAMES), 2, words(encoder, "a").shape[1]) * 0.05
    with torch.no_grad():
        together = prompts.encode(vectors)
        alone = [prompts.encode(vectors[i], torch.tensor([i])) for i in range(len(NAMES))]
    assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_the_tower_is_as_before_afterwards(encoder):
    before = encoder.encode_texts(NAMES)
    Prompts(encoder, NAMES, 3).encode_all(torch.zeros(3, words(encoder, "a").shape[1]))
    assert torch.equal(encoder.encode_texts(NAMES), before)
    wanted = [parameter.requires_grad for parameter in encoder.model.parameters()]
    with frozen(encoder.model):
        assert not any(parameter.requires_grad for parameter in encoder.model.parameters())
    assert [parameter.requires_grad for parameter in encoder.model.parameters()] == wanted


def test_gradients_are_those_of_finite_differences(encoder):
    prompts, vectors = Prompts(encoder, NAMES, 2), words(encoder, "a photo").requires_grad_()
    direction = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(1))
    target = torch.randn(prompts.encode(vectors).shape, generator=torch.Generator().manual_seed(2))

    def loss(at):
        return (prompts.encode(at) * target).sum()

    with frozen(encoder.model):
        loss(vectors).backward()
        step = 0.05 * float(vectors.detach().std())
        with torch.no_grad():
            slope = (loss(vectors + step * direction) - loss(vectors - step * direction)) / (2 * step)
    assert_close((vectors.grad * direction).sum(), slope, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("name", ["coop", "cocoop"])
def test_prompts_learn_the_shots(name, encoder, concepts, shots):
    # an untrained tower turns small steps of its vectors into large ones of its features
    lr = {("small", "coop"): 0.0005, ("small", "cocoop"): 0.003}.get((encoder.spec["model"], name), 0.02)
    tuned = tune(name, encoder, concepts, shots, epochs=20, batch_size=8, lr=lr)
    assert sum(tuned.losses[-3:]) < 0.95 * sum(tuned.losses[:3])
    assert tuned.concepts.text.shape == concepts.text.shape
    assert_close(tuned.encode(NAMES[:2]), tuned.concepts.text[:2], rtol=1e-4, atol=1e-5)
    match = tuned.concepts.match
    before = (shots.features[0] @ concepts.text.T).argmax(1) == shots.labels
    cosines = shots.features[0] @ tuned.concepts.text.T if match is None else match(shots.features[0])
    assert (cosines.argmax(1) == shots.labels).sum() >= before.sum()


def test_classes_can_learn_vectors_of_their_own(encoder, concepts, shots):
    lr = 0.005 if encoder.spec["model"] == "small" else 1.0
    tuned = tune("coop", encoder, concepts, shots, class_specific=True, epochs=12, batch_size=8, lr=lr)
    learned = tuned.state["context"]
    assert learned.shape == (len(NAMES), 4, words(encoder, "a").shape[1])
    assert tuned.losses[-1] < 0.9 * tuned.losses[0]
    assert not torch.allclose(learned[0], learned[1])
    assert tuned.encode is None  # no other name has a prompt of its own
    alone = Prompts(encoder, NAMES[:1], 4).encode_all(learned[0])
    assert_close(tuned.concepts.text[:1], alone, rtol=1e-4, atol=1e-5)


def test_local_features_change_what_is_learned(encoder, concepts, shots):
    patches = torch.nn.functional.normalize(torch.randn(2, 8, 6, concepts.text.shape[1]), dim=-1)
    with_patches = Shots(shots.features, shots.labels, patches=patches)
    setting = {"epochs": 3, "batch_size": 8, "lr": 0.02}
    plain = tune("coop", encoder, concepts, shots, **setting)
    same = tune("locoop", encoder, concepts, with_patches, weight=0.0, **setting)
    other = tune("locoop", encoder, concepts, with_patches, weight=1.0, top=0.5, **setting)
    assert torch.equal(plain.state["context"], same.state["context"])
    assert not torch.allclose(plain.state["context"], other.state["context"])


def test_an_interrupted_run_ends_as_an_uninterrupted_one(interrupt, tmp_path, encoder, concepts, shots):
    setting = {"context": 3, "epochs": 6, "batch_size": 8, "lr": 0.02, "seed": 4}
    whole = tune("coop", encoder, concepts, shots, **setting)
    interrupt(4, 2, lambda: tune("coop", encoder, concepts, shots, checkpoint=tmp_path / "state", **setting))
    resumed = tune("coop", encoder, concepts, shots, checkpoint=tmp_path / "state", **setting)
    assert torch.equal(resumed.state["context"], whole.state["context"])


def test_a_picture_has_class_features_of_its_own(encoder, concepts, shots):
    tuned = tune("cocoop", encoder, concepts, shots, epochs=2, batch_size=4, lr=0.02)
    features = shots.features[0]
    together, alone = tuned.concepts.match(features), torch.cat([tuned.concepts.match(f[None]) for f in features])
    assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together, features @ tuned.concepts.text.T, atol=1e-4)


def test_no_vectors_are_refused(encoder, concepts, shots):
    with pytest.raises(OodlibError, match="a number of vectors of at least 1"):
        tune("coop", encoder, concepts, shots, context=0)


def test_a_model_without_a_table_is_named():
    with pytest.raises(OodlibError, match="Linear has no table of token vectors"):
        table(torch.nn.Linear(2, 2))
