"""What every fine-tuning method that works on features must do, whichever it is."""

import pytest
import torch
from sklearn.base import clone

from oodlib.detectors import get_detector
from oodlib.errors import OodlibError
from oodlib.tuning import Shots, get_tuner, list_tuners, tune
from oodlib.tuning.base import Tuner

ON_FEATURES = {
    "clip_adapter": {"epochs": 40, "lr": 0.01, "ratio": 0.6},
    "linear_probe": {},
    "tip_adapter": {"alpha": 5.0},
    "tip_adapter_f": {"alpha": 5.0, "lr": 0.01},
}
TRAINED = ["clip_adapter", "tip_adapter_f"]
all_methods = pytest.mark.parametrize("name", ON_FEATURES)


def accuracy(concepts, features, labels):
    return float((get_detector("mcm").fit(concepts).cosines(features).argmax(1) == labels).float().mean())


def test_methods_are_found_by_their_names():
    assert set(list_tuners()) >= {"coop", "cocoop", "locoop", *ON_FEATURES}
    assert repr(get_tuner("tip_adapter", alpha=2.0)) == "TipAdapter(alpha=2.0)"
    with pytest.raises(OodlibError, match="unknown fine-tuning method 'tip'"):
        get_tuner("tip")
    with pytest.raises(OodlibError, match="tip_adapter has no parameter 'gamma'"):
        get_tuner("tip_adapter", gamma=1)
    with pytest.raises(OodlibError, match="is built already"):
        tune(get_tuner("tip_adapter"), None, None, None, alpha=2)


@pytest.mark.parametrize("name", list_tuners())
def test_methods_can_be_cloned(name):
    tuner = get_tuner(name)
    assert isinstance(tuner, Tuner)
    assert repr(clone(tuner)) == repr(tuner)


@all_methods
def test_tuning_names_more_pictures_right(name, no_encoder, concepts, shots, test_pictures):
    features, labels = test_pictures
    before = accuracy(concepts, features, labels)
    tuned = tune(name, no_encoder, concepts, shots, **ON_FEATURES[name])
    after = accuracy(tuned.concepts, tuned.transform(features), labels)
    assert after > before + 0.1


@all_methods
def test_the_concepts_given_stay_as_they_are(name, no_encoder, concepts, shots):
    text = concepts.text.clone()
    tune(name, no_encoder, concepts, shots, **ON_FEATURES[name])
    assert concepts.match is None
    assert torch.equal(concepts.text, text)


@all_methods
@pytest.mark.parametrize("detector", ["mcm", "msp", "max_logit", "energy", "neg_label", "ole"])
def test_every_score_reads_what_was_tuned(name, detector, no_encoder, concepts, shots, test_pictures):
    tuned = tune(name, no_encoder, concepts, shots, **ON_FEATURES[name])
    fitted = get_detector(detector).fit(tuned.concepts)
    scores = fitted.score_samples(tuned.transform(test_pictures[0]))
    assert scores.isfinite().all()
    before = get_detector(detector).fit(concepts).score_samples(test_pictures[0])
    assert not torch.allclose(scores, before)


@all_methods
def test_the_same_seed_gives_the_same_weights(name, no_encoder, concepts, shots):
    first, second = (tune(name, no_encoder, concepts, shots, seed=3, **ON_FEATURES[name]) for _ in range(2))
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)
    assert first.losses == second.losses


@pytest.mark.parametrize("name", TRAINED)
def test_another_seed_gives_other_weights_and_the_loss_falls(name, no_encoder, concepts, shots):
    first, second = (tune(name, no_encoder, concepts, shots, seed=seed, **ON_FEATURES[name]) for seed in (1, 2))
    assert any(not torch.equal(first.state[key], second.state[key]) for key in first.state)
    assert first.losses[-1] < first.losses[0]


def test_labels_that_are_no_class_are_refused(no_encoder, concepts, shots):
    wrong = Shots(shots.features, shots.labels + 1)
    with pytest.raises(OodlibError, match="whole numbers from 0 to 4"):
        tune("tip_adapter", no_encoder, concepts, wrong)


def test_shots_of_another_model_are_refused(no_encoder, concepts, shots):
    with pytest.raises(OodlibError, match="encode both with one model"):
        tune("tip_adapter", no_encoder, concepts, Shots(shots.features[..., :8], shots.labels))


def test_shots_must_fit_together(shots):
    with pytest.raises(OodlibError, match="one label a picture"):
        Shots(shots.features, shots.labels[:-1])
    with pytest.raises(OodlibError, match="patches of the shots must have a row for each"):
        Shots(shots.features, shots.labels, patches=torch.zeros(1, 2, 3, 4))


def test_what_a_method_needs_is_asked_for(no_encoder, concepts, shots):
    with pytest.raises(OodlibError, match="LoCoOp needs the shots' patches"):
        tune("locoop", no_encoder, concepts, shots)


def test_a_view_is_drawn_for_each_picture(shots):
    rows = torch.tensor([3, 0, 3])
    drawn = shots.drawn(rows, torch.Generator().manual_seed(0))
    assert drawn.shape == (3, shots.features.shape[2])
    for row, feature in zip(rows.tolist(), drawn, strict=True):
        assert any(torch.equal(feature, view) for view in shots.features[:, row])
