"""Class names from files as data sets and models bring them, and as hands write them."""

import json

import pytest

from oodlib.errors import OodlibError
from oodlib.guard.label_files import read_labels

FISH = ["tench", "goldfish", "shark"]


def written(tmp_path, text, name="names.json"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "content",
    [
        FISH,
        {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"], "2": ["n01484850", "shark"]},
        {"10": ["n01484850", "shark"], "9": ["n01443537", "goldfish"], "1": ["n01440764", "tench"]},
        [["n01440764", "tench"], ["n01443537", "goldfish"], ["n01484850", "shark"]],
        {"shark": 10, "tench": 0, "goldfish": 9},
        {"shark": "10", "tench": "0", "goldfish": "9"},
        {"10": "shark", "0": "tench", "9": "goldfish"},
        {"n01440764": "tench", "n01443537": "goldfish", "n01484850": "shark"},
        {"model_type": "vit", "id2label": {"0": "tench", "1": "goldfish", "2": "shark"}},
        {"names": FISH},
        {"classes": {"1": "goldfish", "2": "shark", "0": "tench"}},
    ],
)
def test_json_in_the_shapes_that_data_sets_bring(content, tmp_path):
    assert read_labels(written(tmp_path, json.dumps(content))) == FISH
    assert read_labels(written(tmp_path, "\ufeff" + json.dumps(content, indent=1).replace("\n", "\r\n"))) == FISH


def test_descriptions_stay_with_their_names(tmp_path):
    content = {"banana": ["a yellow fruit"], "names": ["words for things"], "tiger": []}
    assert read_labels(written(tmp_path, json.dumps(content))) == content


@pytest.mark.parametrize(
    "content",
    [
        '"cat"',
        "{}",
        "3",
        '{"cat": "a pet that purrs"}',
        '{"0": ["tench", "Tinca tinca"]}',
        '[{"id": 0, "name": "tench"}]',
        '[["tench", "Tinca tinca"], ["goldfish", "Carassius"]]',
        '{"tench": 0, "goldfish": 0}',
        '{"0": "tench", "00": "goldfish"}',
        '{"cat": ["a pet"], "cat": ["a beast"]}',
        '["cat", "dog",]',
        '["cat", NaN]',
        '["cat", null]',
        "cat\ndog\n",
        b"\xff\xfe[\x00]\x00",
    ],
)
def test_json_that_can_be_read_in_two_ways_or_none_is_refused(content, tmp_path):
    with pytest.raises(OodlibError, match=r"names\.json.* (write|pass JSON)"):
        read_labels(written(tmp_path, content))


@pytest.mark.parametrize(
    "text",
    ["\ufeffcat\r\n\r\nsports car\r\n", "# a comment\n  cat \n#\nsports car", "cat\rsports car\r"],
)
def test_text_with_comments_marks_and_ends_of_lines_of_any_kind(text, tmp_path):
    assert read_labels(written(tmp_path, text, "names.txt")) == ["cat", "sports car"]


@pytest.mark.parametrize(
    "line",
    [
        *("#1 mug", "cat,", "- cat", "0: cat", "0\tcat", "names:", '"cat"', "7. cat", "n01440764 tench", "label: cat"),
        *('["cat", "dog"]', "0,cat", "* cat", "#cat", "{"),
    ],
)
def test_a_line_that_is_more_than_a_name_is_refused_by_its_number(line, tmp_path):
    with pytest.raises(OodlibError, match=r"line 3 of .*names\.txt, .*, is more than a name"):
        read_labels(written(tmp_path, f"dog\n\n{line}\n", "names.txt"))


def test_a_list_in_one_line_and_numbered_lines_are_refused(tmp_path):
    for text in ("cat, dog, bird\n", "0 tench\n1 goldfish\n2 shark\n"):
        with pytest.raises(OodlibError, match=r"line 1 of .* is more than a name"):
            read_labels(written(tmp_path, text, "names.txt"))
    euros = "1 euro coin\n2 euro coin\n"
    assert read_labels(written(tmp_path, euros, "names.txt")) == euros.splitlines()
