"""Pairs of a drawing and a text: what is in, what is out and why, and what training never sees of the test."""

import pytest

from oodlib.datasets import emojishift
from oodlib.datasets.drawn_pairs import HARDER, ID, SCENARIOS, caption, load
from oodlib.errors import OodlibError

TAUGHT, TESTED = ["twemoji", "openmoji"], ["fluent-emoji"]


@pytest.fixture(scope="module")
def pairs():
    return load(TAUGHT, TESTED, concepts=40)


@pytest.fixture(scope="module")
def things():
    return emojishift.load().table.drop_duplicates("concept").set_index("concept")


def test_no_test_pair_shows_or_says_what_a_lesson_does(pairs):
    taught = {*pairs.lessons["concept"], *pairs.lessons["said"]}
    # siblings without an ID name are in no lesson, and the text of a sibling is one of the test's
    assert not taught & {*pairs.test["concept"], *pairs.test["said"]}
    assert set(pairs.known["hand"]) | set(pairs.lessons["hand"]) <= set(TAUGHT)
    assert set(pairs.test["hand"]) == set(TESTED)


def test_each_scenario_is_what_it_is_called(pairs, things):
    everything = [pairs.lessons, pairs.test]
    for table in everything:
        rows = table.join(things[["group", "subgroup", "near"]], on="concept")
        rows["said subgroup"] = rows["said"].map(things["subgroup"])
        part = dict(list(rows.groupby("scenario")))
        wrong = part["misaligned"]
        assert (wrong["subgroup"] != wrong["said subgroup"]).all()
        assert set(wrong["said"].map(things["group"])) <= set(emojishift.ID_GROUPS)
        assert (part["damaged"]["concept"] == part["damaged"]["said"]).all()
        assert (part["damaged"]["way"] != "").all()
        assert set(part["new domain"]["group"]) <= set(emojishift.FAR_GROUPS)
        assert (part["new domain"]["concept"] == part["new domain"]["said"]).all()
    sibling = part[HARDER[0]]
    assert (sibling["subgroup"] == sibling["said subgroup"]).all()
    assert (sibling["concept"] != sibling["said"]).all()
    assert (part[HARDER[1]]["near"] == "true").all()


def test_every_picture_is_there_and_every_text_says_its_concept(pairs, things):
    ids = {*pairs.drawings.ids, *pairs.spoilt.ids}
    for table in (pairs.known, pairs.lessons, pairs.test):
        assert ids.issuperset(table["picture"])
        assert all(
            text.startswith(name) for text, name in zip(table["text"], table["said"].map(things["label"]), strict=True)
        )
    assert all(path.is_file() for part in (pairs.drawings, pairs.spoilt) for path in part.paths())


def test_labels_take_the_place_of_known_pairs(pairs):
    table = pairs.labelled(0.05, 3)
    count = round(0.05 * len(pairs.known))
    assert len(table) == len(pairs.known)
    assert table["scenario"].value_counts().to_dict() == {
        ID: len(pairs.known) - 3 * count,
        **dict.fromkeys(SCENARIOS, count),
    }
    assert table.equals(pairs.labelled(0.05, 3))
    assert not table.equals(pairs.labelled(0.05, 4))
    alone = pairs.labelled(0.05, 3, ["damaged"])
    assert set(alone[alone["scenario"] == "damaged"]["picture"]) == set(
        table[table["scenario"] == "damaged"]["picture"]
    ), "whatever else is labelled"


def test_what_cannot_be_is_refused(pairs):
    with pytest.raises(OodlibError, match="twemoji draws for training and for the test"):
        load(["twemoji"], ["twemoji"])
    with pytest.raises(OodlibError, match="there is no hand 'rembrandt'"):
        load(["rembrandt"], TESTED)
    with pytest.raises(OodlibError, match="take 8 or more"):
        load(TAUGHT, TESTED, concepts=3)
    with pytest.raises(OodlibError, match="take fewer"):
        pairs.labelled(0.9, 0)
    with pytest.raises(OodlibError, match="scenarios are misaligned, damaged, new domain, not upside down"):
        pairs.labelled(0.05, 0, ["upside down"])


def test_a_caption_does_not_repeat_the_name():
    assert caption("Tiger", "tiger; big; cat; wild") == "Tiger, big, cat"
    assert caption("rat", "") == "rat"
