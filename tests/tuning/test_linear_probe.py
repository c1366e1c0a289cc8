import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.errors import OodlibError
from oodlib.tuning import Shots, tune


def test_its_probabilities_are_those_of_scikit_learn(no_encoder, concepts, shots, test_pictures):
    one_view = Shots(shots.features[:1], shots.labels)
    tuned = tune("linear_probe", no_encoder, concepts, one_view, C=2.0)
    expected = LogisticRegression(C=2.0, max_iter=1000).fit(one_view.features[0].double().numpy(), shots.labels)
    detector = get_detector("msp").fit(tuned.concepts)
    found = detector.to_paper(detector.score_samples(test_pictures[0]))
    np.testing.assert_allclose(found, expected.predict_proba(test_pictures[0].numpy()).max(1), rtol=1e-2)


def test_views_do_not_weaken_the_penalty(no_encoder, concepts, shots):
    one = Shots(shots.features[:1], shots.labels)
    same = Shots(shots.features[:1].repeat(4, 1, 1), shots.labels)
    first, second = (tune("linear_probe", no_encoder, concepts, given).state["weight"] for given in (one, same))
    torch.testing.assert_close(first, second, rtol=1e-2, atol=1e-2)


def test_two_classes_have_a_row_each(no_encoder, concepts, shots, test_pictures):
    two = Concepts(concepts.names[:2], concepts.text[:2], logit_scale=50.0)
    chosen = shots.labels < 2
    tuned = tune("linear_probe", no_encoder, two, Shots(shots.features[:, chosen], shots.labels[chosen]))
    assert tuned.state["weight"].shape == (2, 32)
    features, labels = test_pictures
    features, labels = features[labels < 2], labels[labels < 2]
    assert (tuned.concepts.match(features).argmax(1) == labels).float().mean() > 0.8


def test_a_class_without_shots_is_refused(no_encoder, concepts, shots):
    chosen = shots.labels != 2
    with pytest.raises(OodlibError, match="at least one shot of every class"):
        tune("linear_probe", no_encoder, concepts, Shots(shots.features[:, chosen], shots.labels[chosen]))
