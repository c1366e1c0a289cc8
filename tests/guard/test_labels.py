import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from oodlib.concepts import Concepts
from oodlib.errors import OodlibError
from oodlib.guard.guard import Guard
from oodlib.guard.images import look
from oodlib.guard.labels import check_labels, encode_labels
from oodlib.pocket.light import LightEncoder


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no labels"),
        (["cat", "  "], "label 2 is empty"),
        (["\u200b"], "label 1 is empty"),
        (["cat", "dog", "Cat"], "'cat' and 'Cat' are the same"),
        (["sports-car", "sports car"], "are the same"),
        (["cat", "dog", "cat"], "'cat' and 'cat' are the same"),
        (["cat\u200b", "cat"], "are the same"),
        (["\uff43at", "cat"], "are the same"),
        (["cafe\u0301", "caf\u00e9"], "are the same"),
        (["Straße", "STRASSE"], "are the same"),
        (["n01440764", "n01443537"], "WordNet id 'n01440764', which is no name"),
        ({"0": ["n01440764", "tench"]}, "WordNet id 'n01440764'"),
        (["a" * 10_000], r"label 1, which starts 'a{20}', has 10,000 characters: .* at most 200"),
        ("cat", r"pass \['cat'\]"),
        ([3], "label 1 is 3"),
        ({"cat": 0, "dog": 1}, "descriptions of 'cat' must be a list"),
        ({"cat": "a pet"}, "must be a list of sentences"),
        ({"cat": [" "]}, "a description of 'cat' is empty"),
    ],
)
def test_bad_labels_are_refused_in_one_sentence(labels, message):
    with pytest.raises(OodlibError, match=message):
        check_labels(labels)


PART = pd.Series(["a", "cat", "dog"])[1:]


@pytest.mark.parametrize(
    "labels",
    [
        PART,
        PART.astype("category"),
        pd.Index(PART),
        PART.to_numpy(dtype=object),
        PART.to_numpy(dtype=str),
        pa.array(PART.tolist()),
        pa.chunked_array([["cat"], ["dog"]]),
        iter(PART),
        {"cat": None, "dog": []}.keys(),
        {"cat": None, "dog": []},
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_labels_may_be_any_column_of_names(labels):
    assert list(check_labels(labels)) == ["cat", "dog"]


@pytest.mark.parametrize(
    "labels",
    [{"cat", "dog"}, 3, None, b"cat", np.array("cat"), np.array([["cat", "dog"]]), pd.DataFrame({"label": ["cat"]})],
    ids=lambda labels: type(labels).__name__,
)
def test_what_is_no_column_of_names_is_refused(labels):
    with pytest.raises(OodlibError, match="must be a sequence of strings"):
        check_labels(labels)
    with pytest.raises(OodlibError, match="must be a sequence of strings"):
        Concepts(names=labels, text=np.eye(1))


def test_a_part_of_a_column_names_the_classes_and_the_outliers_of_concepts():
    text = np.eye(2, dtype=np.float32)
    for names in (PART, pa.array(["cat", "dog"]), iter(["cat", "dog"])):
        outliers = list(PART)
        assert Concepts(names=names, text=text, outlier_names=outliers, outlier_text=text).names == ("cat", "dog")


def test_a_guard_takes_parts_of_columns_for_labels_and_outliers():
    guard = Guard.make(PART, LightEncoder(), "outlier_softmax", outliers=iter(["car"]))
    assert (guard.concepts.names, guard.concepts.outlier_names) == (("cat", "dog"), ("car",))


def test_labels_of_any_language_pass():
    assert list(check_labels(["猫", "chien", "τίγρη"])) == ["猫", "chien", "τίγρη"]


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


def test_images_may_be_a_column_of_paths(drawings):
    paths = pd.Series([0, *map(str, drawings.values())], dtype=object)[1:]
    for column in (paths, paths.to_numpy(), paths.to_numpy(dtype=str), pa.array(paths.tolist()), np.str_(paths[1])):
        assert len(look(LightEncoder(), column).good) == (1 if isinstance(column, str) else len(paths))
