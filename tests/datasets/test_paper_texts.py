"""The papers' text sets, made up small in their real layouts."""

import json

import pytest

from oodlib.datasets import paper_texts
from oodlib.datasets.paper_texts import load, problems
from oodlib.errors import OodlibError


@pytest.fixture
def root(tmp_path):
    """A data root with a few texts of each set."""
    for split in ("train", "test"):
        for group in ("sci.space", "rec.autos"):
            folder = tmp_path / "20-newsgroups" / f"20news-bydate-{split}" / group
            folder.mkdir(parents=True)
            (folder / "101").write_bytes(f"From: someone\nSubject: {group}\n\nna\xefve".encode("latin-1"))
        for label in ("neg", "pos", "unsup"):
            folder = tmp_path / "aclImdb" / split / label
            folder.mkdir(parents=True)
            (folder / "0_9.txt").write_text(f"A {label} film, café.", encoding="utf-8")
    (tmp_path / "clinc150").mkdir()
    requests = {"train": [["what is my balance", "balance"]], "oos_test": [["who won the game", "oos"]]}
    (tmp_path / "clinc150" / "data_full.json").write_text(json.dumps(requests), encoding="utf-8")
    (tmp_path / "news-category").mkdir()
    news = [
        {"headline": "Rain", "short_description": "It rains.", "category": "WEATHER", "link": "x"},
        {"headline": "", "short_description": "", "category": "POLITICS"},
        {"headline": "Goal", "short_description": "", "category": "SPORTS"},
    ]
    lines = "\n".join(map(json.dumps, news)) + "\n\n"
    (tmp_path / "news-category" / "News_Category_Dataset_v3.json").write_text(lines, encoding="utf-8")
    (tmp_path / "SST-2").mkdir()
    (tmp_path / "SST-2" / "dev.tsv").write_text('sentence\tlabel\na "fine film\t1\nno good\t0\n', encoding="utf-8")
    (tmp_path / "SST-2" / "test.tsv").write_text("index\tsentence\n0\tunknown yet\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "split", "texts", "labels"),
    [
        ("20-newsgroups", "test", None, ("rec.autos", "sci.space")),
        ("clinc150", "train", ("what is my balance",), ("balance",)),
        ("clinc150", "oos_test", ("who won the game",), ("",)),
        ("news-category", "all", ("Rain It rains.", "Goal"), ("WEATHER", "SPORTS")),
        ("imdb", "train", ("A neg film, café.", "A pos film, café."), ("neg", "pos")),
        ("sst-2", "dev", ('a "fine film', "no good"), ("1", "0")),
        ("sst-2", "test", ("unknown yet",), ("",)),
    ],
)
def test_texts_and_classes_are_those_of_the_files(root, name, split, texts, labels):
    found = load(name, split, root)
    assert found.labels == labels
    assert texts is None or found.texts == texts


def test_posts_keep_their_headers_and_old_letters(root):
    found = load("20-newsgroups", "train", root)
    assert found.ids == ("rec.autos/101", "sci.space/101")
    assert found.texts[0] == "From: someone\nSubject: rec.autos\n\nnaïve"


def test_a_set_is_checked_against_what_its_makers_count(root):
    found, wrong = problems("sst-2", root)
    assert found == 3
    assert "dev has 2 texts, and its makers count 872" in " ".join(wrong)
    assert "train.tsv cannot be read" in " ".join(wrong)


def test_a_set_or_split_that_is_not_there_is_named_with_the_remedy(tmp_path):
    with pytest.raises(OodlibError, match=r"there is no text set 'imbd': choose among 20-newsgroups, .*, sst-2"):
        load("imbd", "train", tmp_path)
    with pytest.raises(OodlibError, match="imdb has no split 'dev': choose among train, test"):
        load("imdb", "dev", tmp_path)
    for name, card in paper_texts.SETS.items():
        with pytest.raises(OodlibError, match=rf"{name} is not in .*`oodlib data get {name}` says how"):
            load(name, next(iter(card.splits)), tmp_path)


@pytest.mark.parametrize(
    ("name", "split", "file", "content", "says"),
    [
        ("clinc150", "train", "clinc150/data_full.json", b"{", "is no JSON"),
        ("clinc150", "train", "clinc150/data_full.json", b'{"train": ["text"]}', "no list of texts and intents named"),
        ("news-category", "all", "news-category/News_Category_Dataset_v3.json", b'{"headline": ""}', "line 1 lacks a"),
        ("news-category", "all", "news-category/News_Category_Dataset_v3.json", b"{}\n{", "line 1 lacks a headline"),
        ("news-category", "all", "news-category/News_Category_Dataset_v3.json", b"\xff\n", "line 1 is no JSON"),
        ("sst-2", "dev", "SST-2/dev.tsv", b"text\tlabel\n", "has no column 'sentence'"),
        ("sst-2", "dev", "SST-2/dev.tsv", b"label\tsentence\n1\n", "line 2 has too few columns"),
        ("sst-2", "dev", "SST-2/dev.tsv", b"sentence\tlabel\n\xff\t1\n", "cannot be read"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(root, name, split, file, content, says):
    (root / file).write_bytes(content)
    with pytest.raises(OodlibError, match=says):
        load(name, split, root)


def test_a_folder_without_classes_is_named(root):
    for path in (root / "aclImdb" / "test" / "pos").iterdir():
        path.unlink()
    (root / "aclImdb" / "test" / "pos").rmdir()
    with pytest.raises(OodlibError, match="test has no folder for each class: unpack the set again"):
        load("imdb", "test", root)
