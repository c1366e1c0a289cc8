"""The parts of a profile: what a model is called with, which words are listed, which cells a protocol names."""

import pytest
import torch
from pydantic import ValidationError

from oodlib.datasets.wordnet import select, wordnet
from oodlib.experiments.profile_parts import EncoderChoice, Photographs, Vocabulary
from oodlib.experiments.protocol_parts import NameProtocol, Tuning
from oodlib.outlier_labels.phrases import SUPERCLASSES

FAR = ["sun", "places"]


def protocol(**changes) -> NameProtocol:
    whole = {
        "title": "One",
        "papers": ["a2020"],
        "encoders": ["small"],
        "prompts": "photo",
        "names": "clean",
        "sets": {"imagenet-1k": {"far": FAR, "near": ["ninco"]}, "imagenet-10": {"hard": ["imagenet-20"]}},
        "detectors": {"mcm": {}},
    }
    return NameProtocol(**{**whole, **changes})


def test_a_model_is_called_with_what_is_said_of_it_and_no_more():
    assert EncoderChoice(name="pocket").options() == {"name": "pocket", "device": "cpu", "precision": "fp32"}
    whole = EncoderChoice(name="RN50", pretrained="openai", quick_gelu=False, preprocess="mcm", precision="bf16")
    said = whole.options()
    assert (said["quick_gelu"], said["preprocess"], said["precision"]) == (False, "mcm", "bf16")
    assert (whole.label, EncoderChoice(name="pocket").label) == ("RN50 openai", "pocket")
    auto = EncoderChoice(name="pocket", device="auto").options()["device"]
    assert auto == ("cuda" if torch.cuda.is_available() else "cpu")


def test_nouns_and_adjectives_are_listed_by_kind():
    found = Vocabulary(nouns=["noun.food"], adjectives=["adj.ppl"]).listed()
    assert found["noun"] == select(wordnet("noun"), ["noun.food"], single=True)
    assert found["adjective"] == select(wordnet("adj"), ["adj.ppl"], single=True, exclude=found["noun"])
    assert not set(found["noun"]) & set(found["adjective"])
    all_words = Vocabulary(nouns=["noun.food"]).listed()["adjective"]
    assert set(found["adjective"]) < set(all_words), "without a list of files all adjectives are taken"
    assert set(Vocabulary(nouns=["noun.food"], adjectives=False).listed()) == {"noun"}


def test_words_are_spread_evenly_over_the_alphabet():
    all_words = Vocabulary(nouns=["noun.food"], adjectives=False).listed()["noun"]
    for words in (10, 37, len(all_words), 2 * len(all_words)):
        some = Vocabulary(nouns=["noun.food"], adjectives=False, words=words).listed()["noun"]
        step = all_words.index(some[1]) - all_words.index(some[0])
        assert some == all_words[::step]
        assert len(some) <= words
        assert words < len(all_words) or some == all_words


def test_many_words_are_there_where_single_is_not_asked_for():
    some = Vocabulary(nouns=["noun.food"], adjectives=False, single=False).listed()["noun"]
    assert "ice cream" in some
    assert "ice cream" not in Vocabulary(nouns=["noun.food"], adjectives=False).listed()["noun"]


def test_adjectives_become_phrases_by_seed():
    plain = Vocabulary(nouns=["noun.food"], words=20).listed()
    vocabulary = Vocabulary(nouns=["noun.food"], words=20, phrases=True)
    found = vocabulary.listed()
    assert found["noun"] == plain["noun"]
    split = [phrase.rsplit(" ", 1) for phrase in found["adjective"]]
    assert [adjective for adjective, _ in split] == plain["adjective"]
    assert {kind for _, kind in split} <= set(SUPERCLASSES)
    assert found == vocabulary.listed(0)
    assert found["adjective"] != vocabulary.listed(1)["adjective"]


def test_a_protocol_lists_its_pairs_and_its_sets_once():
    one = protocol()
    assert one.pairs == [
        ("imagenet-1k", "far", "sun"),
        ("imagenet-1k", "far", "places"),
        ("imagenet-1k", "near", "ninco"),
        ("imagenet-10", "hard", "imagenet-20"),
    ]
    assert one.names_of_sets == ["imagenet-1k", "sun", "places", "ninco", "imagenet-10", "imagenet-20"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sets": {}}, "sets"),
        ({"detectors": {}}, "detectors"),
        ({"encoders": []}, "encoders"),
        ({"names": "short"}, "'clean' or 'openai'"),
        ({"sets": {"imagenet-1k": {"afar": FAR}}}, "'far', 'near', 'hard' or 'covariate'"),
        ({"tuning": {"method": "coop", "shots": []}}, "shots"),
        ({"detector": {}}, "Extra inputs"),
        ({"means": {"mean": ["sun", "textures"]}}, "the mean 'mean' is of sun, textures: name OOD sets of one ID set"),
        ({"means": {"mean": ["sun", "imagenet-20"]}}, "the mean 'mean' is of sun, imagenet-20: name OOD sets of one"),
        ({"means": {"mean": []}}, "the mean 'mean' is of no set"),
    ],
)
def test_what_is_wrong_with_a_protocol_is_said(changes, message):
    with pytest.raises(ValidationError) as caught:
        protocol(**changes)
    assert message in str(caught.value)


def test_a_mean_belongs_to_the_id_sets_that_have_all_its_sets():
    assert protocol(means={"mean of two": FAR}).means == {"mean of two": FAR}


def test_nothing_changes_after_reading():
    for part, key in ((protocol(), "title"), (Tuning(method="coop", shots=[1]), "seeds")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, key, 3)


def test_what_a_run_can_do_without_is_one_of_its_sets():
    chosen = {"root": "HERE", "sets": {"imagenet-1k": {"far": FAR}}}
    assert Photographs(**chosen, optional=["sun"]).names == "clean"
    with pytest.raises(ValidationError, match="`optional` names ninco, which is among no OOD sets"):
        Photographs(**chosen, optional=["ninco"])


def test_a_tower_of_timm_is_taken_as_it_is():
    tower = EncoderChoice(name="timm:beit_base_patch16_224", device="auto")
    assert tower.drawn().label == "timm:test_vit random"
    assert EncoderChoice(name="ViT-B-16", pretrained="openai").drawn().label == "ViT-S-32-alt random"
    for more in ({"precision": "bf16"}, {"quick_gelu": False}, {"preprocess": "mcm"}):
        with pytest.raises(ValueError, match="timm:test_vit is as timm has it, in fp32"):
            EncoderChoice(name="timm:test_vit", **more)
