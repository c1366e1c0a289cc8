"""Whether a model knows names, tells them apart and reads them to the end, by its own tokenizer."""

import pytest
from open_clip import SimpleTokenizer

from oodlib.errors import OodlibError
from oodlib.guard.guard import Guard
from oodlib.guard.reading import check_reading
from oodlib.guard.search import search
from oodlib.pocket.light import LightEncoder

LONG = "a thing of many words that nobody reads to the end " * 9


@pytest.fixture(scope="module")
def light():
    return LightEncoder()


def made(light, labels, **more):
    return Guard.make(labels, light, "mcm", threshold=0.1, **more)


@pytest.mark.parametrize("labels", [["猫", "鳥"], ["cat", "猫"], ["🐱", "🐶"], ["\u0301", "dog"]])
def test_a_name_that_is_not_in_the_vocabulary_is_refused(light, labels):
    with pytest.raises(OodlibError, match=r"pocket cannot read the label .*vocabulary has nothing"):
        made(light, labels)


def test_a_name_that_is_known_in_part_or_described_is_told(light):
    assert "1 of the 2 tokens of the label '猫 cat'" in " ".join(made(light, ["猫 cat", "dog"]).notes)
    described = {"猫": ["a pet that purrs"], "鳥": ["a beast that flies"]}
    assert "cannot read the label '猫': its descriptions alone" in " ".join(made(light, described).notes)
    assert made(light, ["кот", "τίγρη", "chien", "Ünïcödé"]).notes == ()


@pytest.mark.parametrize("labels", [["cafe", "dog", "café"], ["naïve", "naive"], ["jalapeño", "Jalapeno"]])
def test_names_that_the_model_takes_for_one_another_are_refused(light, labels):
    with pytest.raises(OodlibError, match=f"cannot tell the labels '{labels[0]}' and '{labels[-1]}' from each other"):
        made(light, labels)


def test_a_prompt_that_pushes_the_name_out_is_refused_or_told(light):
    with pytest.raises(OodlibError, match=r"'cat' and 'dog', of which it reads 77 tokens, from each other"):
        made(light, ["cat", "dog"], templates=[f"{LONG}{{}}"])
    (note,) = made(light, ["cat", "dog"], templates=[f"{LONG}{{}}", "a {}"]).notes
    assert "for 'dog' pocket reads the first 77 tokens, and what is left is the same as of 'cat'" in note


def test_descriptions_that_are_cut_to_the_same_text_are_told(light):
    (note,) = made(light, {"cat": [f"{LONG}red"], "dog": [f"{LONG}blue"], "bird": ["it flies"]}).notes
    assert "for 'cat' pocket reads the first 77 tokens" in note
    assert "for 'dog' pocket reads the first 77 tokens, and what is left is the same as of 'cat'" in note
    assert "bird" not in note


def test_outlier_words_added_classes_and_queries_are_looked_at_too(light, drawings):
    with pytest.raises(OodlibError, match="cannot read the outlier word '猫'"):
        Guard.make(["cat", "dog"], light, "outlier_softmax", outliers=["car", "猫"])
    guard = made(light, ["cafe", "dog"])
    with pytest.raises(OodlibError, match="cannot tell the labels 'cafe' and 'café'"):
        guard.with_labels(["café"])
    assert "nan" in " ".join(guard.with_labels(["nan"]).notes)
    with pytest.raises(OodlibError, match="cannot read the query '猫'"):
        search("猫", list(drawings.values()), light)


def test_torch_reads_the_same_tokens(light, pocket):
    texts = ["cat", "猫", "猫 cat", "café", LONG, f"{LONG}red", ""]
    assert pocket.read_texts(texts) == light.read_texts(texts)


def test_a_vocabulary_of_bytes_knows_every_letter_and_is_cut_as_well(pocket, monkeypatch):
    monkeypatch.setattr(pocket, "tokenizer", SimpleTokenizer())
    monkeypatch.setattr(pocket, "lengths", lambda tokens: (tokens != 0).sum(1))
    assert check_reading(pocket, {"猫": (), "鳥": (), "café": (), "cafe": ()}, ("a {}",)) == []
    exact, longer = " ".join(["cat"] * 75), " ".join(["cat"] * 76)
    assert [reading.cut for reading in pocket.read_texts([exact, longer])] == [False, True]
    (note,) = check_reading(pocket, {"cat": (longer,)}, ("a {}",))
    assert "reads the first 77 tokens" in note


def test_an_outlier_word_that_is_read_as_a_label_is_left_out_and_told(light):
    guard = Guard.make(["cafe", "dog"], light, "outlier_softmax", outliers=["car", "caf\u00e9"])
    assert guard.concepts.outlier_names == ("car",)
    assert any("left out: caf\u00e9" in note for note in guard.notes)
