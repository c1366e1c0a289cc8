"""What the pages start from, on the small profile."""

import numpy as np
import pytest
import torch

from oodlib.datasets.wordnet import normal
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
