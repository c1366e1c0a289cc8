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
    told = lab.concepts(lab.main)
    assert told.names == lab.benchmarks[lab.main].names
    assert told.no_text is not None
    assert told.no_text.shape == told.text.shape
    assert told.logit_scale == pytest.approx(lab.encoder.logit_scale)


def test_outlier_words_are_never_class_names(lab):
    told = lab.concepts(lab.main)
    beside = lab.lexicon.add_to(told)
    assert not {normal(name) for name in told.names} & {normal(word) for word in beside.outlier_names}
    assert set(beside.outlier_kinds) == {"noun", "adjective"}
    assert lab.words(["red bus"]).text.shape == (1, told.text.shape[1])


def test_correct_is_what_a_plain_loop_finds(lab):
    told, inside = lab.concepts(lab.main), lab.sets[lab.main][lab.main]
    best = (lab.embeddings.of(inside) @ told.text.T).argmax(1)
    plain = [told.names[int(b)] == label for b, label in zip(best, inside.table["label"], strict=True)]
    np.testing.assert_array_equal(lab.correct(lab.main), np.array(plain))
    assert torch.equal(lab.features(lab.main)[lab.main], lab.embeddings.of(inside))
