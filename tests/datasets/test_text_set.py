"""Sets of texts: what they refuse, and that matching by length leaves no length to tell sets apart by."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.datasets.text_set import TextBenchmark, TextSet, length_matched
from oodlib.errors import OodlibError


def made(name, texts, label=""):
    texts = tuple(texts)
    return TextSet(name, tuple(f"{name}-{k}" for k in range(len(texts))), texts, (label,) * len(texts))


def benchmark(test, ood, kinds=None):
    ood = {name: made(name, texts) for name, texts in ood.items()}
    train, validation = made("train", ["to train"], "a"), made("validation", ["to validate"], "a")
    kinds = kinds or dict.fromkeys(ood, "out-of-domain")
    return TextBenchmark("small", ("a",), train, validation, made("test", test, "a"), ood, kinds)


def sentences(first, count, words):
    """Texts with different words throughout, of `words` words each."""
    return [" ".join(f"{first}{k}w{word}" for word in range(words)) for k in range(count)]


@pytest.mark.parametrize(
    ("ids", "texts", "labels", "says"),
    [
        (("1", "1"), ("a", "b"), ("", ""), "the text '1' twice"),
        (("1",), ("a", "b"), ("", ""), "1 ids, 2 texts and 2 labels"),
        (("1", "2"), ("a", " \n"), ("", ""), "the text '2' of set is empty"),
    ],
)
def test_sets_refuse_what_is_no_set(ids, texts, labels, says):
    with pytest.raises(OodlibError, match=says):
        TextSet("set", ids, texts, labels)


def test_rows_are_taken_in_order():
    part = made("set", "abcdef")
    assert part.select([True, False, True, False, False, True]).texts == ("a", "c", "f")
    assert part.take([4, 1]).ids == ("set-4", "set-1")
    assert part.first(2).texts == ("a", "b")
    assert len(part.first(100)) == len(part) == 6
    assert part.take([1, 0]).digest != part.first(2).digest == made("set", "ab").digest


def test_benchmarks_refuse_strange_labels_sets_without_kinds_and_shared_texts():
    part = made("ood", ["x"], "a")
    one, two = made("train", ["one"], "a"), made("validation", ["two"], "a")
    with pytest.raises(OodlibError, match="labels outside the class names: 'b'"):
        TextBenchmark("small", ("a",), one, two, made("test", ["three"], "b"), {}, {})
    with pytest.raises(OodlibError, match="the OOD set 'ood' carry the ID label 'a'"):
        TextBenchmark("small", ("a",), one, two, made("test", ["three"], "a"), {"ood": part}, {"ood": "same-domain"})
    with pytest.raises(OodlibError, match="share a text"):
        TextBenchmark("small", ("a",), one, two, made("test", ["one"], "a"), {}, {})
    for kinds in ({"others": "far"}, {"elsewhere": "same-domain"}):
        with pytest.raises(OodlibError, match="every OOD set needs a kind"):
            benchmark(["three"], {"others": ["x"]}, kinds)


def test_texts_are_cut_to_the_median_of_the_set_and_at_most_eight_words():
    inside = sentences("i", 60, 12)
    matched = length_matched(benchmark(inside, {"long": sentences("l", 60, 11), "short": sentences("s", 60, 5)}))
    assert {name: part.words for name, part in matched.items()} == {"long": 8, "short": 5}
    for part in matched.values():
        assert {len(text.split()) for text in (*part.id.texts, *part.ood.texts)} == {part.words}
    assert matched["short"].id.texts[3] == " ".join(inside[3].split()[:5])
    assert matched["short"].id.labels[3] == "a"


def test_names_cannot_be_matched():
    assert length_matched(benchmark(sentences("i", 60, 12), {"names": sentences("n", 60, 2)})) == {}


def test_cut_texts_that_repeat_count_once_and_shared_ones_not_at_all():
    inside = [*sentences("i", 60, 9), "a b c d e f g h one", "a b c d e f g h two"]
    outside = [*sentences("o", 60, 9), "a b c d e f g h three", "p q r s t u v w x", "p q r s t u v w y"]
    part = length_matched(benchmark(inside, {"ood": outside}))["ood"]
    assert "a b c d e f g h" not in (*part.id.texts, *part.ood.texts)
    assert part.ood.texts.count("p q r s t u v w") == 1
    assert (len(part.id), len(part.ood)) == (60, 61)


@given(seed=st.integers(0, 2**16), shift=st.integers(0, 3))
def test_lengths_of_a_model_agree_whatever_they_were(seed, shift):
    draw = np.random.default_rng(seed)

    def texts(first, low):
        return [
            " ".join(f"{first}{k}" + "x" * length for length in row)
            for k, row in enumerate(draw.integers(low, 4 + low, (400, 4)))
        ]

    matched = length_matched(benchmark(texts("i", 0), {"ood": texts("o", shift)}), count=len)
    for part in matched.values():
        assert Counter(map(len, part.id.texts)) == Counter(map(len, part.ood.texts))
    again = length_matched(benchmark(texts("i", 0), {"ood": texts("i", 0)}), count=lambda text: 1)
    assert all(len(part.id) == len(part.ood) for part in again.values())
