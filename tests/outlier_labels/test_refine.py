"""Asking a language model which words to leave out."""

import numpy as np
import pytest

from oodlib.errors import OodlibError
from oodlib.outlier_labels.refine import SYSTEM, refine

NAMES, WORDS = ["dog", "cat", "car"], ["poodle", "Everest", "car", "sofa"]
NAMES_TEXT = np.eye(4)[:3]
TEXT = np.array([[0.9, 0.3, 0.1, 0], [0.1, 0.2, 0.3, 0.9], [0, 0, 1, 0], [0.2, 0.1, 0, 0.9]])


class Model:
    """A language model with three answers, which notes what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, messages):
        assert messages[0] == {"role": "system", "content": SYSTEM}
        question = messages[1]["content"]
        self.asked.append(question)
        if question.startswith("Is 'Everest' a proper noun"):
            return " YES, it is."
        return "yes" if question == "Is 'poodle' a subcategory of 'dog'?" else "No, yes would be wrong."


def test_what_it_says_yes_to_leaves_and_says_why():
    model = Model()
    found = refine(WORDS, TEXT, NAMES, NAMES_TEXT, model)
    assert found == {"poodle": "kind of dog", "Everest": "proper noun", "car": "kind of car", "sofa": ""}
    # a word that leaves is asked about no more, and a class is not asked about itself
    assert [sum(f"'{word}'" in question.split(" a ")[0] for question in model.asked) for word in WORDS] == [2, 1, 1, 4]


def test_classes_are_asked_about_the_nearest_first():
    model = Model()
    refine(["sofa"], TEXT[3:], NAMES, NAMES_TEXT, model, closest=2)
    assert [question.split("'")[3] for question in model.asked[1:]] == ["dog", "cat"]


def test_words_and_features_belong_together():
    with pytest.raises(OodlibError, match="each word and each name needs its own feature"):
        refine(WORDS, TEXT[1:], NAMES, NAMES_TEXT, Model())
