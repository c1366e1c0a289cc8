"""What the pages start from, on the small profile."""

import numpy as np
import pytest
import torch
from PIL import Image

from oodlib import Guard
from oodlib.datasets import emojishift
from oodlib.datasets.wordnet import normal
from oodlib.embeddings import embed
from oodlib.experiments import profiles
from oodlib.experiments.experiment import Experiment


@pytest.fixture(scope="module")
def lab():
    return Experiment.of(profiles.load_profile("pocket", small=True))


def test_every_set_has_its_features(lab):
    for id_set, parts in lab.sets.items():
        features = lab.features(id_set)
        assert next(iter(features)) == id_set
        assert {part: len(values) for part, values in features.items()} == {p: len(m) for p, m in parts.items()}
    far = lab.features(lab.main, ["far"])
    assert set(far) == {lab.main, "travel-places", "objects", "activities", "symbols"}


def test_the_light_encoder_gives_tensors_and_torch_is_there_when_asked_for(lab, drawings):
    light, full = lab.encoder, lab.torch_encoder
    assert (light.runtime, full.runtime) == ("onnx", "torch")
    some = lab.sets["hard-10"]["hard-10"]
    some = some.select(some.table.index < 3)
    assert torch.allclose(lab.embeddings.of(some), embed(full, some).features, atol=1e-5)
    assert torch.allclose(light.encode_texts(["tiger"]), full.encode_texts(["tiger"]), atol=1e-5)
    guard = Guard.make(["tiger", "banana"], light, "mcm", threshold=0.5)
    in_memory = guard.detect([Image.open(path) for path in drawings.values()])["score"]
    of_files = guard.detect(list(drawings.values()))["score"]
    np.testing.assert_allclose(in_memory, of_files, atol=1e-5)


def test_pictures_of_the_profile_are_not_encoded_again(lab, monkeypatch):
    inside, manifest = lab.sets[lab.main][lab.main], emojishift.load()
    others = manifest.select(~manifest.table["id"].isin(lab.embeddings.ids))
    other = others.select(others.table.index < 1)
    assert lab.features_of(other).shape == (1, lab.embeddings.features.shape[1])
    monkeypatch.setattr("oodlib.experiments.experiment.embed", None)
    assert torch.equal(lab.features_of(inside), lab.embeddings.of(inside))


def test_concepts_have_a_no_feature_each(lab):
    concepts = lab.concepts(lab.main)
    assert concepts.names == lab.benchmarks[lab.main].names
    assert concepts.no_text is not None
    assert concepts.no_text.shape == concepts.text.shape
    assert concepts.logit_scale == pytest.approx(lab.encoder.logit_scale)


def test_outlier_words_are_never_class_names(lab):
    concepts = lab.concepts(lab.main)
    extended = lab.lexicon.add_to(concepts)
    assert not {normal(name) for name in concepts.names} & {normal(word) for word in extended.outlier_names}
    assert set(extended.outlier_kinds) == {"noun", "adjective"}
    assert lab.words(["red bus"]).text.shape == (1, concepts.text.shape[1])


def test_correct_is_what_a_plain_loop_finds(lab):
    concepts, inside = lab.concepts(lab.main), lab.sets[lab.main][lab.main]
    best = (lab.embeddings.of(inside) @ concepts.text.T).argmax(1)
    plain = [concepts.names[int(b)] == label for b, label in zip(best, inside.table["label"], strict=True)]
    np.testing.assert_array_equal(lab.correct(lab.main), np.array(plain))
    assert torch.equal(lab.features(lab.main)[lab.main], lab.embeddings.of(inside))
