"""Names that a person may not have meant as names."""

import pytest

from oodlib.datasets.synonyms import synonyms
from oodlib.errors import OodlibError
from oodlib.guard.doubtful import check_parts, means_none, name_notes


def test_plain_names_get_no_sentence():
    assert name_notes(["cat", "dog", "bicycle", "C3 car", "train"]) == []


def test_synonyms_get_one_sentence():
    (note,) = name_notes(["car", "dog", "automobile", "motorcar"])
    assert "'car' and 'automobile'" in note
    assert {"auto", "motorcar"} <= synonyms("Car")


@pytest.mark.parametrize(
    "twins", [("cat", "cat."), ("naïve art", "naive art"), ("ice cream", "icecream"), ("C", "C++")]
)
def test_twins_get_one_sentence(twins):
    assert any(f"{twins[0]!r} and {twins[1]!r} differ in accents" in note for note in name_notes(["dog", *twins]))


@pytest.mark.parametrize("name", ["nan", "None", "<NA>", "N/A", "unknown", "-1", "-100", "-1.0", "?", "null", "NaT"])
def test_a_missing_value_is_told(name):
    assert means_none(name)
    assert any(f"{name!r} reads like a missing value" in note for note in name_notes(["cat", name]))


def test_numbers_are_told_and_255_among_few_is_none():
    assert any("'0', '1' is a number" in note for note in name_notes(["0", "1"]))
    assert means_none("255", ["0", "1", "255"])
    assert not means_none("255", [str(k) for k in range(256)])
    assert not means_none("255", ["255", "cat"])


@pytest.mark.parametrize(
    "folders", [["train", "val"], ["Test", "Training", "cat"], ["images"], ["images", "masks", "data"], ["validation"]]
)
def test_parts_of_a_data_set_are_no_classes(folders):
    with pytest.raises(OodlibError, match="names a part of a data set and no class"):
        check_parts(folders, "here")


def test_one_folder_that_may_be_a_part_is_told_and_a_train_among_vehicles_is_not():
    assert "'images' counts as a class" in check_parts(["cat", "images"], "here")[0]
    assert check_parts(["car", "plane", "train"], "here") == []
