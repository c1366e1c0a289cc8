"""Training against outliers: what both trainers must do with every source and every loss."""

import pytest
import torch
from torch.nn.functional import normalize

from oodlib.detectors import get_detector
from oodlib.errors import OodlibError
from oodlib.evaluation import ood_metrics
from oodlib.tuning import Shots, get_tuner, tune
from oodlib.tuning.sources import get_source
from oodlib.tuning.sources.given import Given

SOURCES = [None, "vos", "npos", "np_mix", "words"]
FAST = {"epochs": 30, "batch_size": 10, "lr": 0.01, "rank": 4, "per_class": 4}
TRAINERS = {"made_outliers": FAST, "ood_supcon": FAST | {"epochs": 20, "later_epochs": 10}}
both = pytest.mark.parametrize("name", TRAINERS)


def some(n, seed):
    """Random directions of the width of the shots' features."""
    return normalize(torch.randn(n, 32, generator=torch.Generator().manual_seed(seed)), dim=-1)


def outliers(concepts, share):
    """Real outliers around a point with a share of the first name: half to learn from, half as the test."""
    centre = normalize(share * concepts.text[:1] + some(1, 20), dim=1)
    rows = normalize(centre + 0.5 * some(80, 21), dim=1)
    return rows[:40], rows[40:]


def found(tuned, inside, outliers, detector):
    fitted = get_detector(detector).fit(tuned.concepts)
    scores = [fitted.score_samples(tuned.transform(rows)).numpy() for rows in (inside, outliers)]
    return ood_metrics(*scores)["auroc"]


@both
@pytest.mark.parametrize("source", SOURCES)
def test_training_names_more_pictures_right_with_every_source(name, source, no_encoder, concepts, shots, test_pictures):
    features, labels = test_pictures

    def right(concepts, features):
        return float((get_detector("mcm").fit(concepts).cosines(features).argmax(1) == labels).float().mean())

    tuned = tune(name, no_encoder, concepts, shots, source=source, **TRAINERS[name])
    assert right(tuned.concepts, tuned.transform(features)) > right(concepts, features) + 0.03
    assert torch.allclose(tuned.transform(features).norm(dim=1), torch.ones(len(features)), atol=1e-5)


def with_and_without(name, setting, detector, share, no_encoder, concepts, shots, pictures):
    """AUROC after training without outliers and with them, and what was trained with them."""
    taught, asked = outliers(concepts, share)
    setting = TRAINERS[name] | setting
    tuned = [tune(name, no_encoder, concepts, shots, source=source, **setting) for source in (None, Given(taught))]
    return [found(one, pictures, asked, detector) for one in tuned], tuned[1]


@pytest.mark.parametrize(
    ("name", "setting", "detector", "share"),
    [
        ("made_outliers", {"loss": "energy", "weight": 1.0}, "energy", 0.25),
        ("made_outliers", {"loss": "exposure"}, "msp", 0.55),
        ("made_outliers", {"loss": "logit_norm"}, "mcm", 0.55),
        ("ood_supcon", {"later_epochs": 30}, "max_logit", 0.55),
    ],
)
def test_real_outliers_are_found_better_once_they_are_known(
    name, setting, detector, share, no_encoder, concepts, shots, test_pictures
):
    setup = no_encoder, concepts, shots, test_pictures[0]
    (without, told), _ = with_and_without(name, setting, detector, share, *setup)
    assert told > without + 0.02, "outliers must move the network"


def test_outliers_that_match_better_than_pictures_turn_the_line_around(no_encoder, concepts, shots, test_pictures):
    """VOS's line is free to take high energies for outliers, and then drives them further up: a trap of the method."""
    setting = {"loss": "energy", "weight": 1.0}
    setup = no_encoder, concepts, shots, test_pictures[0]
    (without, told), tuned = with_and_without("made_outliers", setting, "energy", 0.55, *setup)
    outlier, inside = tuned.state["slope"].flatten().tolist()
    assert outlier > inside
    assert told < without


@pytest.mark.parametrize("loss", ["energy", "exposure", "logit_norm"])
def test_the_second_loss_changes_every_weight_and_its_weight_counts(loss, no_encoder, concepts, shots):
    setting = FAST | {"epochs": 2, "loss": loss, "source": "np_mix"}
    none, some_, more = (
        tune("made_outliers", no_encoder, concepts, shots, weight=w, **setting) for w in (0.0, 0.5, 5.0)
    )
    for part in ("down", "up", "weight", "bias"):
        assert not torch.equal(none.state[part], some_.state[part]), part
        assert not torch.equal(some_.state[part], more.state[part]), part


def test_the_map_leaves_features_alone_before_training(no_encoder, concepts, shots, test_pictures):
    tuned = tune("made_outliers", no_encoder, concepts, shots, epochs=0)
    torch.testing.assert_close(tuned.transform(test_pictures[0]), test_pictures[0])
    torch.testing.assert_close(tuned.concepts.match(test_pictures[0]), test_pictures[0] @ concepts.text.T)


def test_a_random_head_knows_no_name_at_first(no_encoder, concepts, shots, test_pictures):
    tuned = tune("made_outliers", no_encoder, concepts, shots, head="random", epochs=0)
    assert not torch.allclose(tuned.state["weight"], concepts.text)
    torch.testing.assert_close(tuned.state["weight"].norm(dim=1), torch.ones(len(concepts.names)))


@both
@pytest.mark.parametrize("stop", [5, 20])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(name, stop, interrupt, tmp_path, no_encoder, concepts, shots):
    setting = TRAINERS[name] | {"source": "vos", "epochs": 12}
    whole = tune(name, no_encoder, concepts, shots, seed=1, **setting)
    path = tmp_path / "state.safetensors"
    interrupt(stop, 5, lambda: tune(name, no_encoder, concepts, shots, seed=1, checkpoint=path, **setting))
    assert list(tmp_path.iterdir())
    resumed = tune(name, no_encoder, concepts, shots, seed=1, checkpoint=path, **setting)
    assert all(torch.equal(whole.state[key], resumed.state[key]) for key in whole.state)
    assert resumed.losses == whole.losses
    assert not list(tmp_path.iterdir())


def test_a_run_that_stops_in_stage_two_goes_on_there(interrupt, tmp_path, no_encoder, concepts, shots):
    setting = FAST | {"source": "np_mix", "epochs": 2, "later_epochs": 10}  # 4 steps, then 20
    whole = tune("ood_supcon", no_encoder, concepts, shots, **setting)
    path = tmp_path / "state.safetensors"
    interrupt(10, 5, lambda: tune("ood_supcon", no_encoder, concepts, shots, checkpoint=path, **setting))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    resumed = tune("ood_supcon", no_encoder, concepts, shots, checkpoint=path, **setting)
    assert all(torch.equal(whole.state[key], resumed.state[key]) for key in whole.state)


def test_a_checkpoint_belongs_to_its_outliers(interrupt, tmp_path, no_encoder, concepts, shots):
    path, (some_, others) = tmp_path / "state.safetensors", outliers(concepts, 0.5)

    def go(bank):
        tune("made_outliers", no_encoder, concepts, shots, source=Given(bank), checkpoint=path, **FAST)

    interrupt(5, 5, lambda: go(some_))
    with pytest.raises(OodlibError, match="checkpoint of another recipe"):
        go(others)


@both
def test_one_class_is_trained_or_refused_in_one_sentence(name, no_encoder, concepts, shots):
    alone = shots.some(shots.labels == 2)  # the other classes have a name and no shots
    tuned = tune(name, no_encoder, concepts, alone, source="vos", **TRAINERS[name])
    assert all(tensor.isfinite().all() for tensor in tuned.state.values())
    with pytest.raises(OodlibError, match="NP-Mix cannot start"):
        tune(name, no_encoder, concepts, alone, source="np_mix", **TRAINERS[name])


@both
def test_one_shot_of_a_class_is_enough_with_views_and_refused_without(name, no_encoder, concepts, shots):
    one = Shots(shots.features[:1, :5], shots.labels[:5])
    for source in ("vos", "npos"):
        with pytest.raises(OodlibError, match=r"cannot start: .* pass more shots, or more views"):
            tune(name, no_encoder, concepts, one, source=source, **TRAINERS[name])
    viewed = Shots(shots.features[:, :5], shots.labels[:5])
    assert tune(name, no_encoder, concepts, viewed, source="vos", **TRAINERS[name]).losses


def test_a_zero_among_the_shots_is_refused(no_encoder, concepts, shots):
    broken = shots.features.clone()
    broken[1, 3] = 0
    with pytest.raises(OodlibError, match="zero or not finite in 1 rows"):
        tune("made_outliers", no_encoder, concepts, Shots(broken, shots.labels), source="npos", **FAST)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("made_outliers", {"loss": "hinge"}, "made_outliers takes one of energy, exposure, logit_norm, not 'hinge'"),
        ("made_outliers", {"head": "zeros"}, "head of made_outliers takes one of names, random, not 'zeros'"),
        ("made_outliers", {"source": "gan"}, "unknown source of outliers 'gan'"),
        ("ood_supcon", {"temperature": 0.0}, "the temperature divides cosines"),
    ],
)
def test_what_makes_no_sense_is_refused(name, wrong, said, no_encoder, concepts, shots):
    with pytest.raises(OodlibError, match=said):
        tune(name, no_encoder, concepts, shots, **FAST | wrong)


def test_a_source_may_be_built_before(no_encoder, concepts, shots):
    named, built = (
        tune("made_outliers", no_encoder, concepts, shots, source=source, **FAST)
        for source in ("vos", get_source("vos"))
    )
    assert torch.equal(named.state["weight"], built.state["weight"])
    assert "VOS" in repr(get_tuner("made_outliers", source=get_source("vos", sample=5)))
