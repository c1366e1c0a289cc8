import pytest
import torch

from oodlib.datasets.synonyms import synonyms
from oodlib.errors import OodlibError
from oodlib.guard.labels import check_labels, encode_labels, synonym_notes


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no labels"),
        (["cat", "  "], "label 2 is empty"),
        (["\u200b"], "label 1 is empty"),
        (["cat", "dog", "Cat"], "'cat' and 'Cat' are the same"),
        (["sports-car", "sports car"], "are the same"),
        (["cat", "dog", "cat"], "'cat' and 'cat' are the same"),
        (["a" * 10_000], r"label 1, which starts 'a{20}', has 10,000 characters: .* at most 200"),
        ("cat", r"pass \['cat'\]"),
        ([3], "label 1 is 3"),
        ({"cat": "a pet"}, "must be a list of sentences"),
        ({"cat": [" "]}, "a description of 'cat' is empty"),
    ],
)
def test_bad_labels_are_refused_in_one_sentence(labels, message):
    with pytest.raises(OodlibError, match=message):
        check_labels(labels)


def test_labels_of_any_language_pass():
    assert list(check_labels(["猫", "chien", "τίγρη"])) == ["猫", "chien", "τίγρη"]


def test_synonyms_get_one_sentence():
    assert synonym_notes(["cat", "dog", "bicycle"]) == []
    (note,) = synonym_notes(["car", "dog", "automobile", "motorcar"])
    assert "'car' and 'automobile'" in note
    assert {"auto", "motorcar"} <= synonyms("Car")


def test_without_descriptions_it_is_the_ensemble_of_templates(pocket):
    prompts = ("a {}", "{}")
    found = encode_labels(pocket, check_labels(["cat", "dog"]), prompts)
    torch.testing.assert_close(found, pocket.encode_texts(["cat", "dog"], prompts), atol=1e-5, rtol=1e-4)


def test_descriptions_count_like_prompts(pocket):
    found = encode_labels(
        pocket, check_labels({"cat": ["a pet that purrs", "the {} of a witch"], "dog": []}), ("a {}",)
    )
    parts = pocket.encode_texts(["a cat", "a pet that purrs", "the cat of a witch"])
    expected = torch.nn.functional.normalize(parts.mean(0), dim=0)
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[1], pocket.encode_texts(["a dog"])[0], atol=1e-5, rtol=1e-4)
