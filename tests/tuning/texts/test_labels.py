import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.errors import OodlibError
from oodlib.tuning.texts._labels import numbered


@given(st.lists(st.integers(0, 6) | st.integers(0, 99), min_size=2, max_size=30).filter(lambda row: len(set(row)) > 1))
def test_classes_and_places_give_the_labels_back(labels):
    for given_labels in (labels, [f"class {label}" for label in labels]):
        classes, places = numbered(given_labels, len(labels))
        assert list(classes[places.numpy()]) == given_labels
        assert len(set(classes)) == len(classes)


def test_strings_in_an_array_of_objects():
    classes, places = numbered(np.array(["b", "a", "b"], object), 3)
    assert (classes.tolist(), places.tolist()) == (["a", "b"], [1, 0, 1])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1, -1], "label .*-1.* of row 2 is no class"),
        ([0, np.nan, 1], "nan.* of row 1 is no class"),
        (["a", None, "b"], "None of row 1 is no class"),
        ([0, 1], "3 rows and 2 labels"),
        ([[0], [1], [2]], "one for each row"),
        (["a", "a", "a"], "one class only"),
    ],
)
def test_labels_that_are_none(labels, sentence):
    with pytest.raises(OodlibError, match=sentence):
        numbered(labels, 3)
