"""Running protocols: on a made-up tree, with one model of random weights and a handful of words."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch

from oodlib.concepts import Concepts
from oodlib.datasets.base import Manifest
from oodlib.datasets.images import read_image
from oodlib.detectors import get_detector
from oodlib.embeddings.embedding import embed
from oodlib.encoders import load
from oodlib.encoders.load import load_encoder
from oodlib.encoders.timm_towers import load_timm
from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import ood_metrics
from oodlib.evaluation.results import COLUMNS, KEY
from oodlib.evaluation.scoring import score
from oodlib.experiments import trial as of_one
from oodlib.experiments.amounts import Amounts, OfProtocols
from oodlib.experiments.pictures import Shelf
from oodlib.experiments.profiles import Profile
from oodlib.experiments.protocols import FIRST_ONLY, run_protocols
from oodlib.experiments.trial import Trial, few_of_each
from oodlib.feature_detectors import get_feature_detector
from oodlib.outlier_labels.envision import EnvisionedList
from oodlib.outlier_labels.lexicon import Lexicon
from oodlib.prompts.sets import templates
from oodlib.tuning import Tuned

PAIR = {"imagenet-10": {"far": ["sun"], "hard": ["imagenet-20"]}}
FEW = {"encoders": 1, "sentences": 2, "words": 10, "shots": 1, "views": 1, "epochs": 1, "patches": False}
PROFILE = {
    "name": "mine",
    "title": "Mine",
    "encoder": {"name": "RN50", "pretrained": "random"},
    "dataset": "photos",
    "photos": {"root": "PROTOCOLS_ROOT", "sets": {"imagenet-10": {"far": ["sun"]}}},
    "templates": "photo",
    "vocabulary": {"nouns": ["noun.food"], "words": 10},
    "detectors": {"mcm": {}},
    "id_sets": ["imagenet-10"],
    "n_boot": 10,
    "pictures": 10,
    "encoders": {"RN50": {"name": "RN50", "pretrained": "random"}},
    "lexicons": {"food": {"nouns": ["noun.food"], "words": 400, "prompts": "bare"}},
    "amounts": {"protocols": FEW},
}
PROTOCOL = {
    "title": "One",
    "papers": ["ming2022delving"],
    "encoders": ["RN50"],
    "prompts": "photo",
    "names": "clean",
    "sets": PAIR,
    "detectors": {"mcm": {"temperature": 0.5}, "half": {"method": "mcm", "temperature": 0.25}},
}


def profile(encoders=None, **chosen) -> Profile:
    """A profile with some protocols, each given by its changes to the plain one."""
    changed = {label: PROTOCOL | changes for label, changes in chosen.items()}
    return Profile(**PROFILE | {"protocols": changed} | ({"encoders": encoders} if encoders else {}))


@pytest.fixture(scope="module")
def encoder():
    """CLIP's ViT, small: protocols ask for features, whatever they are, and RN50 takes many times as long."""
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
    with pytest.MonkeyPatch.context() as patch:
        config = {"embed_dim": 64, "vision_cfg": vision, "text_cfg": text}
        patch.setitem(open_clip.factory._MODEL_CONFIGS, "small-for-protocols", config)
        return load_encoder("small-for-protocols", "random")


@pytest.fixture
def loaded(encoder, monkeypatch):
    """Every encoder is the one that is loaded; returns how often one was asked for."""
    asked = []
    monkeypatch.setattr(load, "load_encoder", lambda **options: asked.append(options) or encoder)
    return asked


@pytest.fixture
def shelf(sample_tree, monkeypatch):
    monkeypatch.setenv("PROTOCOLS_ROOT", str(sample_tree))
    return Shelf(sample_tree, "clean")


@pytest.fixture
def openai(shelf):
    """The tradition in which ImageNet-10 calls its classes as ImageNet-1k's training set does, which has the shots."""
    return Shelf(shelf.root, "openai")


def trial(encoder, shelf, **changes) -> pd.DataFrame:
    run = profile(one=changes)
    return Trial(run, "one", run.protocols["one"], encoder, "RN50 random", shelf).rows("run 7")


def test_rows_are_what_the_parts_give_by_hand(encoder, shelf):
    means = {"mean of both": ["sun", "imagenet-20"]}
    rows = trial(encoder, shelf, means=means)
    assert tuple(rows.columns) == COLUMNS
    assert not rows.duplicated(list(KEY)).any()
    run = Profile(**PROFILE)
    sets = {name: run.limit(shelf.manifest(name)) for name in ("imagenet-10", "sun", "imagenet-20")}
    features = {name: embed(encoder, part).features for name, part in sets.items()}
    names = shelf.benchmark("imagenet-10", {}).names
    text = encoder.encode_texts(names, templates("photo"))
    scores = {
        name: get_detector("mcm", temperature=0.25).fit(Concepts(names, text)).score_samples(part)
        for name, part in features.items()
    }
    half = rows[rows["detector"] == "half"].set_index(["ood_set", "metric"])
    by_hand = {name: ood_metrics(scores["imagenet-10"], scores[name])["auroc"] for name in ("sun", "imagenet-20")}
    assert half.loc[("sun", "auroc"), "value"] == pytest.approx(by_hand["sun"])
    assert half.loc[("imagenet-20", "auroc"), "value"] == pytest.approx(by_hand["imagenet-20"])
    assert half.loc[("mean of both", "auroc"), "value"] == pytest.approx(np.mean(list(by_hand.values())))
    (right,) = rows.loc[rows["metric"] == "id_accuracy", "value"]
    guessed = [names[k] for k in (features["imagenet-10"] @ text.T).argmax(dim=1)]
    assert right == np.mean(np.array(guessed) == sets["imagenet-10"].table["label"].to_numpy(dtype=str))


def test_a_row_says_how_it_was_made(encoder, shelf):
    rows = trial(encoder, shelf)
    parameters = json.loads(rows.loc[rows["detector"] == "half", "parameters"].iloc[0])
    assert parameters == {
        "temperature": 0.25,
        "prompts": "photo",
        "names": "clean",
        "words": None,
        "preprocess": None,
        "protocol": "one",
    }
    same = {"profile": "mine", "encoder": "RN50 random", "tuning": "none", "shots": 0, "seed": 0, "run": "run 7"}
    for column, value in same.items():
        assert set(rows[column]) == {value}
    assert set(zip(rows["ood_set"], rows["ood_kind"], strict=True)) == {
        ("sun", "far"),
        ("imagenet-20", "hard"),
        ("", ""),
    }
    assert set(rows.loc[rows["ood_set"] != "", "n_id"]) == {10}


def test_what_is_not_there_is_left_out(encoder, shelf, tmp_path):
    for folder in ("imagenet", "SUN", "SAMPLE.json"):
        (tmp_path / folder).symlink_to(shelf.root / folder)
    sets = {
        "imagenet-10": {"far": ["sun", "textures"]},
        "cub-100": {"near": ["cub-100-rest"]},
        "imagenet-20": {"far": ["textures"]},
    }
    means = {"mean of two": ["sun", "textures"]}
    rows = trial(encoder, Shelf(tmp_path, "clean"), sets=sets, means=means)
    assert set(zip(rows["id_set"], rows["ood_set"], strict=True)) == {("imagenet-10", "sun"), ("imagenet-10", "")}
    nothing = trial(encoder, Shelf(tmp_path / "nowhere", "clean"))
    assert nothing.empty
    assert tuple(nothing.columns) == COLUMNS


def test_words_are_added_to_the_classes(encoder, shelf):
    run = profile(one={"words": "food", "detectors": {"neg_label": {"temperature": 0.01}}})
    one = Trial(run, "one", run.protocols["one"], encoder, "RN50 random", shelf)
    rows = one.rows("r")
    listed = run.lexicons["food"].model_copy(update={"words": 10}).listed(0)
    prompts = {"noun": templates("bare"), "adjective": templates("nice-adjective")[:2]}
    names = shelf.benchmark("imagenet-10", {}).names
    concepts = Lexicon.encode(encoder, listed, prompts).add_to(
        Concepts(names, encoder.encode_texts(names, templates("photo")))
    )
    detector = get_detector("neg_label", temperature=0.01).fit(concepts)
    inside, outside = (
        detector.score_samples(embed(encoder, run.limit(shelf.manifest(name))).features)
        for name in ("imagenet-10", "sun")
    )
    (found,) = rows.loc[(rows["ood_set"] == "sun") & (rows["metric"] == "auroc"), "value"]
    assert found == pytest.approx(ood_metrics(inside, outside)["auroc"])
    assert set(rows.loc[rows["metric"] == "auroc", "parameters"].map(lambda text: json.loads(text)["words"])) == {
        "food"
    }


def test_a_method_that_reads_the_stream_says_so(encoder, shelf):
    rows = trial(encoder, shelf, words="food", detectors={"ada_neg": {"temperature": 0.01}, "mcm": {}})
    by_detector = rows.groupby("detector")["transductive"].unique().map(list).to_dict()
    assert by_detector == {"ada_neg": [True], "argmax": [False], "mcm": [False]}


def envisioned(folder: Path, id_set: str, labels: tuple[str, ...]) -> None:
    EnvisionedList(id_set, "far", "somebody", "", ("a",), ("b",), (labels,), labels).write(
        folder / f"{id_set}-far.json"
    )


def test_envisioned_labels_lie_beside_the_photographs(encoder, shelf, tmp_path):
    for folder in ("imagenet", "SUN", "SAMPLE.json"):
        (tmp_path / folder).symlink_to(shelf.root / folder)
    chosen = {"words": "far", "detectors": {"eoe-far": {"method": "eoe"}}, "sets": {"imagenet-10": {"far": ["sun"]}}}
    there = Shelf(tmp_path, "clean")
    with pytest.raises(OodlibError, match="imagenet-10"):
        trial(encoder, there, **chosen)
    (tmp_path / "envisioned").mkdir()
    envisioned(tmp_path / "envisioned", "imagenet-10", ("lagoon", "attic"))
    rows = trial(encoder, there, **chosen)
    assert {"eoe-far", "argmax"} == set(rows["detector"])


def test_a_tuned_model_has_rows_for_its_shots_and_seeds(encoder, openai):
    tuning = {"method": "tip_adapter", "shots": [1, 2], "seeds": 2, "views": 3, "parameters": {"alpha": 5.0}}
    rows = trial(encoder, openai, tuning=tuning, sets={"imagenet-10": {"far": ["sun"]}})
    assert set(rows["tuning"]) == {"tip_adapter"}
    assert set(rows["shots"]) == {1}, "the profile takes the first number of shots"
    assert set(rows["seed"]) == {0, 1}
    assert not rows.duplicated(list(KEY)).any()
    untuned = trial(encoder, openai, sets={"imagenet-10": {"far": ["sun"]}})
    areas = [found.loc[found["metric"] == "auroc", "value"].iloc[0] for found in (rows, untuned)]
    assert areas[0] != areas[1], "the shots count"


def test_outlier_words_are_asked_in_the_prompts_that_were_learned(encoder, shelf):
    run = profile(one={"words": "food"})
    one = Trial(run, "one", run.protocols["one"], encoder, "", shelf)
    concepts = Concepts(["apple", "dog"], encoder.encode_texts(["apple", "dog"]))

    def learned(words):
        return torch.nn.functional.one_hot(torch.arange(len(words)), concepts.text.shape[1]).float()

    plain, tuned = (one._with_outliers(Tuned(concepts, {}, encode=how), "imagenet-10") for how in (None, learned))
    assert tuned.outlier_names == plain.outlier_names
    assert set(tuned.outlier_text.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(plain.outlier_text, tuned.outlier_text)


def test_a_full_run_takes_every_number_of_shots_every_view_and_its_own_parameters(encoder, openai, monkeypatch):
    """Without pictures or training: what `take_shots` and `tune` are called with."""
    asked = []
    monkeypatch.setattr(of_one, "take_shots", lambda *given, **named: asked.append((len(given[1]), named)) or "shots")
    monkeypatch.setattr(of_one, "tune", lambda *given, **named: asked.append((given[0], named)))
    tuning = {"method": "locoop", "shots": [1, 2], "views": 3, "parameters": {"epochs": 9}}
    few = profile(one={"tuning": tuning})
    concepts = Concepts(openai.benchmark("imagenet-10", {}).names, torch.eye(10))
    for run, counts, views, epochs in (
        (few.model_copy(update={"amounts": Amounts()}), [1, 2], 3, 9),
        (few, [1], 1, 1),
    ):
        asked.clear()
        tuned_models = list(Trial(run, "one", run.protocols["one"], encoder, "", openai)._tuned(concepts))
        assert [(count, seed) for count, seed, _ in tuned_models] == [(count, 0) for count in counts]
        for count, (pictures, taken), (method, tuned) in zip(counts, asked[::2], asked[1::2], strict=True):
            assert pictures == 10 * count
            assert taken == {"views": views, "seed": 0, "patches": True}, "LoCoOp needs local features"
            assert (method, tuned) == ("locoop", {"seed": 0, "epochs": epochs})


def test_protocols_under_one_encoder_share_their_shots_but_not_the_large_parts(encoder, openai, monkeypatch):
    drawn = []
    monkeypatch.setattr(of_one, "take_shots", lambda *given, **named: drawn.append(named) or object())
    monkeypatch.setattr(of_one, "tune", lambda method, encoder, concepts, shots, **named: shots)
    concepts, taken = Concepts(openai.benchmark("imagenet-10", {}).names, torch.eye(10)), {}
    methods = ("coop", "linear_probe", "locoop", "locoop")
    shots = []
    for method in methods:
        run = profile(one={"tuning": {"method": method, "shots": [1], "views": 2}})
        trial = Trial(run, "one", run.protocols["one"], encoder, "", openai, taken)
        shots += [found for _, _, found in trial._tuned(concepts)]
    assert shots[0] is shots[1]
    assert len({id(found) for found in shots}) == 3
    assert [named.get("patches", False) for named in drawn] == [False, True, True]


def test_epochs_are_cut_only_where_a_method_has_more(encoder, shelf):
    for method, parameters, left in (
        ("coop", {"epochs": 9, "lr": 0.1}, {"epochs": 2, "lr": 0.1}),
        ("coop", {"epochs": 1}, {"epochs": 1}),
        ("clip_adapter", {}, {"epochs": 2}),
        ("tip_adapter", {"alpha": 2.0}, {"alpha": 2.0}),
    ):
        run = profile(one={"tuning": {"method": method, "shots": [1], "parameters": parameters}})
        run = run.model_copy(update={"amounts": Amounts(protocols=OfProtocols(epochs=2))})
        one = Trial(run, "one", run.protocols["one"], encoder, "", shelf)
        assert one._parameters(one.protocol.tuning) == left, "50 epochs are what clip_adapter has by itself"


def test_patches_are_read_beside_a_tuned_model_unless_the_profile_leaves_them_out(encoder, shelf):
    tuning = {"method": "tip_adapter", "shots": [1]}
    for chosen, patches, kept in (
        ({"tuning": tuning}, False, {"mcm"}),
        ({"tuning": tuning}, True, {"mcm", "gl_mcm"}),
        ({}, False, {"mcm", "gl_mcm"}),
    ):
        run = profile(one=chosen | {"detectors": {"mcm": {}, "gl_mcm": {}}})
        run = run.model_copy(update={"amounts": Amounts(protocols=OfProtocols(patches=patches))})
        assert set(Trial(run, "one", run.protocols["one"], encoder, "", shelf)._detectors()) == kept


def test_gl_mcm_reads_patches_a_batch_at_a_time(encoder, shelf, monkeypatch):
    monkeypatch.setattr(of_one, "BATCH", 3)
    sets = {name: shelf.manifest(name).select(np.arange(len(shelf.manifest(name))) < 4) for name in ("sun", "places")}
    features = {name: embed(encoder, part).features for name, part in sets.items()}
    text = encoder.encode_texts(["cat", "dog"])
    concepts, detectors = Concepts(["cat", "dog"], text), {"gl_mcm": get_detector("gl_mcm", temperature=0.1)}
    run = profile(one={})
    one = Trial(run, "one", run.protocols["one"], encoder, "RN50 random", shelf)
    found = score(concepts, detectors, features, patches=lambda name: one._patches(sets, name))["gl_mcm"]
    for name, part in sets.items():
        patches = encoder.encode_patches([read_image(path) for path in part.paths()])
        whole = (features[name] @ text.T / 0.1).softmax(-1).amax(-1)
        local = (patches @ text.T / 0.1).softmax(-1).amax((1, 2))
        np.testing.assert_allclose(detectors["gl_mcm"].to_paper(found[name]), whole + local, rtol=1e-4)
    rows = trial(encoder, shelf, detectors={"gl_mcm": {"temperature": 0.1}}, sets={"imagenet-10": {"far": ["sun"]}})
    assert set(rows["detector"]) == {"gl_mcm", "argmax"}


def test_shots_are_the_first_pictures_of_each_class_by_hash(openai):
    teachers = openai.manifest("imagenet-1k-train")
    names = openai.benchmark("imagenet-10", {}).names
    for count in (1, 2):
        few = few_of_each(teachers, names, count)
        assert Counter(few.table["label"]) == dict.fromkeys(names, count)
        assert few.table["id"].is_monotonic_increasing
        for name in names:
            hashes = sorted(teachers.table.loc[teachers.table["label"] == name, "sha256"])
            assert sorted(few.table.loc[few.table["label"] == name, "sha256"]) == hashes[:count]
    with pytest.raises(OodlibError, match=r"imagenet-1k-train has fewer than 3 .*: choose fewer shots"):
        few_of_each(teachers, names, 3)


def test_two_classes_of_one_name_have_shots_each():
    rows = [(f"{k}", "crane", "bird" if k < 3 else "machine", f"{9 - k}") for k in range(6)]
    table = pd.DataFrame(rows, columns=["id", "label", "class_id", "sha256"]).assign(uri="", split="train")
    few = few_of_each(Manifest("drawn", None, table), ("crane",), 2)
    assert few.table["id"].tolist() == ["1", "2", "4", "5"]
    with pytest.raises(OodlibError, match="fewer than 1 pictures of 'cat'"):
        few_of_each(Manifest("drawn", None, table), ("crane", "cat"), 1)


def test_every_protocol_has_rows_or_a_reason(shelf, loaded):
    two = {"RN50": PROFILE["encoders"]["RN50"], "other": {"name": "RN50", "pretrained": "random", "quick_gelu": True}}
    tuning = {"method": "tip_adapter", "shots": [9]}
    run = profile(
        two,
        runs={"encoders": ["other", "RN50"]},
        short={"sets": {"imagenet-10": {"far": ["sun"], "near": ["ssb-hard"]}}},
        never={"not_run": "it cannot be"},
        words={"words": "near", "detectors": {"eoe": {}}},
        shots={"tuning": tuning},
    )
    found = run_protocols(run, "run 7")
    assert found.ran == [("short", "RN50"), ("runs", "other")]
    assert set(found.reasons) == {("runs", "RN50"), ("never", "RN50"), ("words", "RN50"), ("shots", "RN50")}
    assert found.reasons["runs", "RN50"] == FIRST_ONLY
    assert found.reasons["never", "RN50"] == "it cannot be"
    assert "imagenet-10" in found.reasons["words", "RN50"]
    assert "fewer than 9 pictures" in found.reasons["shots", "RN50"]
    assert len(loaded) == 2, "an encoder is loaded once for all its protocols"
    assert set(found.specs) == {"RN50", "other"}
    assert all(len(spec["digest"]) == 64 for spec in found.specs.values())
    labels = found.rows["parameters"].map(lambda text: json.loads(text)["protocol"])
    assert set(zip(labels, found.rows["run"], strict=True)) == {("short", "run 7"), ("runs", "run 7")}


def test_nothing_is_loaded_where_nothing_is_there(tmp_path, monkeypatch, loaded):
    monkeypatch.setenv("PROTOCOLS_ROOT", str(tmp_path))
    found = run_protocols(profile(one={}), "r")
    assert found.reasons == {("one", "RN50"): "not there: imagenet-10, sun, imagenet-20"}
    assert (found.ran, found.specs, found.rows.empty) == ([], {}, True)
    assert tuple(found.rows.columns) == COLUMNS
    assert not loaded, "the weights of a model are hundreds of megabytes"
    assert run_protocols(profile(), "r").reasons == {}


def test_an_encoder_that_cannot_be_had_is_a_reason(shelf, monkeypatch):
    asked = []

    def refuse(**options):
        asked.append(options)
        raise OodlibError("the weights are not on this machine")

    monkeypatch.setattr(load, "load_encoder", refuse)
    found = run_protocols(profile(one={}, two={}), "r")
    assert set(found.reasons.values()) == {"the weights are not on this machine"}
    assert len(asked) == 1, "a host that does not answer is asked once, not for every protocol"


def test_a_set_that_is_partly_missing_is_said_beside_the_rows(shelf, tmp_path, monkeypatch, loaded):
    for folder in ("imagenet", "SUN", "SAMPLE.json"):
        (tmp_path / folder).symlink_to(shelf.root / folder)
    monkeypatch.setenv("PROTOCOLS_ROOT", str(tmp_path))
    found = run_protocols(profile(one={"sets": {"imagenet-10": {"far": ["sun", "places"]}}}), "r")
    assert found.ran == [("one", "RN50")]
    assert found.reasons == {("one", "RN50"): "not there: places"}


FEATURES = {
    "title": "Features",
    "papers": ["li2023mood"],
    "encoders": ["tower"],
    "names": "openai",
    "taught": "imagenet-1k-train",
    "per_class": 2,
    "sets": PAIR,
    "means": {"mean of both": ["sun", "imagenet-20"]},
    "detectors": {
        "one mean": {"method": "mahalanobis", "parameters": {"shrinkage": 0.1}, "classes": False, "directions": True},
        "classes": {"method": "mahalanobis", "parameters": {"shrinkage": 0.1}},
    },
}


def test_a_protocol_on_features_gives_what_its_parts_give_by_hand(shelf):
    """Real weights aside, as with BEiT's: a tower of timm's that knows no name."""
    tower = {"name": "timm:test_vit", "pretrained": "random"}
    run = Profile(**PROFILE | {"encoders": {"tower": tower}, "feature_protocols": {"mood": FEATURES}})
    outcome = run_protocols(run, "run 7")
    assert (outcome.ran, outcome.reasons) == ([("mood", "tower")], {})
    assert outcome.specs["tower"]["model"] == "timm:test_vit"
    rows = outcome.rows
    assert not rows.duplicated(list(KEY)).any()
    assert set(rows["encoder"]) == {"timm:test_vit random"}
    encoder, openai = load_timm("test_vit", "random"), Shelf(shelf.root, "openai")
    names = openai.benchmark("imagenet-10", {}).names
    few = few_of_each(openai.manifest("imagenet-1k-train"), names, 2)
    sets = {name: run.limit(openai.manifest(name)) for name in ("imagenet-10", "sun")}
    taught, features = embed(encoder, few).features, {n: embed(encoder, part).features for n, part in sets.items()}
    for label, told in (("one mean", False), ("classes", True)):
        read = (lambda x: torch.nn.functional.normalize(x, dim=1)) if label == "one mean" else (lambda x: x)
        detector = get_feature_detector("mahalanobis", shrinkage=0.1)
        detector.fit(read(taught), few.table["label"].to_numpy(dtype=str) if told else None)
        scores = {name: detector.score_samples(read(part)) for name, part in features.items()}
        row = rows[(rows["detector"] == label) & (rows["ood_set"] == "sun") & (rows["metric"] == "auroc")].iloc[0]
        assert row["value"] == pytest.approx(ood_metrics(scores["imagenet-10"], scores["sun"])["auroc"])
        about = json.loads(row["parameters"])
        assert (about["protocol"], about["taught"]) == ("mood", "imagenet-1k-train, 2 of each class")
        assert (about["classes"], about["directions"]) == (told, not told)


def test_a_label_names_one_protocol():
    tower = {"tower": {"name": "timm:test_vit", "pretrained": "random"}, **PROFILE["encoders"]}
    both = {"protocols": {"one": PROTOCOL}, "feature_protocols": {"one": FEATURES}, "encoders": tower}
    with pytest.raises(ValueError, match="one names a protocol and a feature protocol"):
        Profile(**PROFILE | both)
    with pytest.raises(ValueError, match="names the encoder tower, which `encoders` lacks"):
        Profile(**PROFILE | {"feature_protocols": {"mood": FEATURES}})
