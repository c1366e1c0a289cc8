"""What every source of changed texts must do, on a model whose logits count words."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from oodlib.errors import OodlibError
from oodlib.tuning.pseudo_texts import KnownTexts, RandomRemoved, WordsRemoved, WordsReplaced
from oodlib.tuning.pseudo_texts.base import LONGEST
from oodlib.tuning.sources import Known
from oodlib.tuning.sources.np_mix import NPMix

TEXTS = ["a cat with soft fur", "the wild cat of woods", "a pan to fry fish", "the iron pan for soup"]
LABELS = torch.tensor([0, 0, 1, 1])
VOCABULARY = sorted({word for text in TEXTS for word in text.split()})
EVERY = [RandomRemoved(), WordsRemoved(), WordsReplaced()]
every = pytest.mark.parametrize("source", EVERY, ids=repr)


def counted(texts):
    """Bags of words, with a last column that no text leaves empty."""
    return torch.tensor([[*(float(text.split().count(word)) for word in VOCABULARY), 1.0] for text in texts])


def logits(features):
    """Cats hang on "cat", pans on "pan", and a bit on "a" and "the"."""
    weight = torch.zeros(2, len(VOCABULARY) + 1)
    for k, words in enumerate((("cat", "a"), ("pan", "the"))):
        for value, word in zip((5.0, 0.5), words, strict=True):
            weight[k, VOCABULARY.index(word)] = value
    return features @ weight.T


def known_of(texts=TEXTS, labels=LABELS, encode=counted, logits=logits):
    return KnownTexts(counted(texts), labels, texts=texts, encode=encode, logits=logits)


def changed(source, known=None, n=10, seed=0):
    return source.changed(known or known_of(), n, torch.Generator().manual_seed(seed))


def test_a_word_matters_as_much_as_its_class_falls_without_it():
    known = known_of()
    for words, found, label in zip(known.words, known.importance, LABELS.tolist(), strict=True):
        for k, word in enumerate(words):
            without = " ".join(words[:k] + words[k + 1 :])
            fall = logits(counted([" ".join(words)])) - logits(counted([without]))
            assert found[k] == pytest.approx(float(fall[0, label])), word


def test_the_words_that_a_class_hangs_on_are_removed():
    found = changed(WordsRemoved(0.2))
    assert found == {0: "a with soft fur", 1: "the wild of woods", 2: "a to fry fish", 3: "the iron for soup"}
    assert changed(WordsRemoved(0.4))[0] == "with soft fur"


def test_what_is_replaced_comes_from_the_same_place_of_another_class():
    found = changed(WordsReplaced(0.2))
    assert set(found) == {0, 1, 2, 3}
    for row, text in found.items():
        before, after = TEXTS[row].split(), text.split()
        assert len(before) == len(after)
        places = [k for k in range(len(before)) if before[k] != after[k]]
        assert [before[k] for k in places] == ["cat" if row < 2 else "pan"]
        others = [TEXTS[k].split() for k in ((2, 3) if row < 2 else (0, 1))]
        assert after[places[0]] in [other[places[0]] for other in others]


def test_a_place_that_no_other_class_has_takes_the_end_of_its_texts():
    known = known_of(["soft soft soft cat", "pan"], torch.tensor([0, 1]))
    assert changed(WordsReplaced(0.2), known)[0] == "soft soft soft pan"


def test_the_control_takes_as_many_words_and_asks_no_model():
    def asked(*_):
        raise AssertionError

    control = changed(RandomRemoved(0.4), known_of(encode=asked, logits=asked))
    told = changed(WordsRemoved(0.4))
    assert {row: len(text.split()) for row, text in control.items()} == {
        row: len(text.split()) for row, text in told.items()
    }
    kept = [changed(RandomRemoved(0.4), seed=seed).values() for seed in range(20)]
    assert any("cat" in text or "pan" in text for texts in kept for text in texts)


@every
def test_the_same_seed_makes_the_same_outliers(source):
    first, second = (clone(source).bank(known_of(), 2, seed=3) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (4, len(VOCABULARY) + 1)
    drawn = [changed(source, n=1, seed=seed) for seed in range(8)]
    assert all(len(found) == 2 for found in drawn)  # one a class
    assert any(found != drawn[0] for found in drawn)


@every
def test_features_of_texts_mix_as_those_of_pictures_and_texts_need_texts(source):
    assert NPMix().bank(known_of(), 3).shape == (6, len(VOCABULARY) + 1)
    with pytest.raises(OodlibError, match="pass KnownTexts"):
        source.bank(Known(counted(TEXTS), LABELS), 3)


@every
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5), share=st.floats(0.01, 1))
def test_any_text_is_changed_or_left_out(source, texts, share):
    known = known_of(texts, torch.arange(len(texts)) % 2)
    try:
        found = changed(clone(source).set_params(share=share), known)
    except OodlibError:
        with pytest.raises(OodlibError, match="cannot change any of the texts"):
            changed(clone(source).set_params(share=share), known)
        return
    for row, text in found.items():
        assert text.strip()
        assert text.split() != known.words[row]


@every
def test_hostile_texts_give_a_result_or_a_sentence(source):
    alone = [WordsRemoved, RandomRemoved]
    long = " ".join(["cat", *["fur"] * 10_000])
    found = changed(source, known_of(["", "cat", "pan fish", long], torch.tensor([0, 0, 1, 0])))
    assert set(found) == ({2, 3} if type(source) in alone else {1, 2, 3})
    assert "cat" not in found[3].split() or isinstance(source, RandomRemoved)
    one = known_of(["cat fur", "soft cat"], torch.tensor([1, 1]))
    if type(source) in alone:
        assert len(changed(source, one)) == 2
    else:
        with pytest.raises(OodlibError, match="words come from another class"):
            changed(source, one)
    with pytest.raises(OodlibError, match="cannot change any of the texts"):
        changed(source, known_of(["", " "], torch.tensor([0, 1])))


def test_of_a_long_text_the_first_words_are_asked_for():
    asked = []

    def encode(texts):
        asked.extend(texts)
        return counted(texts)

    known = known_of([" ".join(["fur"] * 1000)], torch.tensor([0]), encode=encode)
    assert len(known.importance[0]) == 1000
    assert len(asked) == LONGEST


def test_what_does_not_fit_is_refused():
    with pytest.raises(OodlibError, match="share is above 0"):
        changed(WordsRemoved(0.0))
    with pytest.raises(OodlibError, match="4 labels need as many texts"):
        KnownTexts(counted(TEXTS), LABELS, texts=TEXTS[1:], encode=counted, logits=logits)
    with pytest.raises(OodlibError, match="a label is 3, and there are logits of 2 classes"):
        changed(WordsRemoved(), known_of(labels=torch.tensor([0, 0, 1, 3])))
