"""What the methods with outlier labels share."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from oodlib.arrays import largest, sigmoid
from oodlib.concepts import Concepts
from oodlib.detectors import _outliers, get_detector
from oodlib.detectors._outliers import farthest, group_rows, known_odds, over_candidates
from oodlib.errors import OodlibError

WITH_LABELS = [
    *("neg_label", "csp", "eoe", "clip_scope", "ada_neg", "outlier_softmax"),
    *("neg_refine", "dnm", "renyi_neg"),
]
FEW = {"dnm": {"weight": "safe"}}  # its own weight is none for as many words as classes


def between(text):
    """A text tower that knows these texts, and reads "<one> and <other>" as what lies between them."""
    return lambda texts: normalize(
        torch.stack([sum(text[name] for name in one.split(" and ")) for one in texts]), dim=1
    )


def features(n, seed, width=16):
    return normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def concepts(order=range(20)):
    order = list(order)
    names, classes = [f"word {i}" for i in order], [f"class {i}" for i in range(6)]
    text, words = features(6, 1), features(20, 2)[order]
    known = dict(zip([*classes, *names], [*text, *words], strict=True))
    return Concepts(classes, text, names, words, encode=between(known))


def test_mining_in_blocks_changes_nothing(monkeypatch):
    candidates, text = features(50, 1), features(7, 2)
    monkeypatch.setattr(_outliers, "_CELLS", 20)
    torch.testing.assert_close(over_candidates(candidates, text, largest), (candidates @ text.T).amax(dim=1))


@given(
    values=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    keep=st.floats(0.01, 1),
    data=st.data(),
)
def test_the_least_similar_of_each_kind_are_kept(values, keep, data):
    kinds = data.draw(st.lists(st.sampled_from("abc"), min_size=len(values), max_size=len(values)))
    rows = farthest(torch.tensor(values), kinds, keep).tolist()
    assert len(set(rows)) == len(rows)
    for kind in set(kinds):
        members = [i for i in range(len(values)) if kinds[i] == kind]
        kept = [i for i in rows if kinds[i] == kind]
        assert len(kept) == max(1, int(len(members) * keep))
        assert kept == sorted(members, key=lambda i: values[i])[: len(kept)]
    assert [kinds[i] for i in rows] == sorted((kinds[i] for i in rows), key=list(dict.fromkeys(kinds)).index)


def test_a_kind_may_have_a_share_of_its_own():
    kinds = ["noun"] * 4 + ["adjective"] * 4
    rows = farthest(np.arange(8) / 10, kinds, 0.5, {"adjective": 0.25})
    assert rows.tolist() == [0, 1, 4]
    assert farthest(np.arange(8) / 10, [], 0.5, {"adjective": 0.25}).tolist() == [0, 1, 2, 3]


@given(labels=st.integers(1, 60), groups=st.integers(1, 80), seed=st.integers(0, 5))
def test_groups_are_of_one_size_and_share_no_label(labels, groups, seed):
    rows = group_rows(labels, groups, seed)
    assert rows.shape == (min(groups, labels), labels // min(groups, labels))
    assert sorted(rows.flatten().tolist()) == list(range(rows.size))


@given(st.integers(0, 1000))
def test_known_odds_are_of_the_mean_of_softmaxes(seed):
    rng = np.random.default_rng(seed)
    known, unknown = rng.normal(size=(3, 4)) * 5, rng.normal(size=(3, 2, 5)) * 5
    each = [np.exp(known).sum(1) / (np.exp(known).sum(1) + np.exp(unknown[:, group]).sum(1)) for group in range(2)]
    np.testing.assert_allclose(sigmoid(known_odds(torch.tensor(known), torch.tensor(unknown))), np.mean(each, axis=0))


@pytest.mark.parametrize("name", ["eoe", "outlier_softmax", "clip_scope"])
@given(order=st.permutations(range(20)))
def test_the_order_of_labels_does_not_matter(name, order):
    images = features(6, 3)
    expected = get_detector(name).fit(concepts()).score_samples(images)
    found = get_detector(name).fit(concepts(order)).score_samples(images)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_what_is_summed_at_once_changes_nothing(kind, monkeypatch):
    drawn = np.random.default_rng(0)
    known, unknown = kind(drawn.normal(size=(7, 3))), kind(drawn.normal(size=(7, 2, 5)))
    expected, summed = known_odds(known, unknown), []
    whole = _outliers.logsumexp
    monkeypatch.setattr(_outliers, "_HOT", 35)  # three rows and a half
    monkeypatch.setattr(_outliers, "logsumexp", lambda logits: summed.append(tuple(logits.shape)) or whole(logits))
    np.testing.assert_array_equal(known_odds(known, unknown), expected)
    assert summed == [(7, 3), (3, 2, 5), (3, 2, 5), (1, 2, 5)]


@pytest.mark.parametrize("name", ["neg_label", "csp", "ada_neg", "neg_refine", "dnm", "renyi_neg"])
@given(order=st.permutations(range(20)))
def test_the_order_of_candidates_does_not_change_what_is_mined(name, order):
    detector, shuffled = (get_detector(name, keep=0.5).fit(c) for c in (concepts(), concepts(order)))
    assert shuffled.outlier_names_ == detector.outlier_names_
    images = features(6, 3)
    np.testing.assert_allclose(shuffled.score_samples(images), detector.score_samples(images), rtol=1e-5)


@pytest.mark.parametrize("name", WITH_LABELS)
def test_says_that_labels_are_missing(name):
    bare = Concepts(["a"], torch.eye(16)[:1])
    with pytest.raises(OodlibError, match=r"needs outlier labels: .*outlier_names=.*outlier_text="):
        get_detector(name).fit(bare)


@pytest.mark.parametrize("name", WITH_LABELS)
def test_one_class_and_one_label_are_enough(name):
    eye = torch.eye(16)
    encode = between({"a": eye[0], "b": eye[1]})
    few = Concepts(["a"], eye[:1], ["b"], eye[1:2], encode=encode)
    detector = get_detector(name, **FEW.get(name, {})).fit(few)
    inside, outside = detector.score_samples(eye[:2])
    assert inside > outside
    assert detector.labels_compared() == 2


# Of renyi_neg it is not true: the best class is among what it is compared with.
@pytest.mark.parametrize("name", [name for name in WITH_LABELS if name != "renyi_neg"])
@pytest.mark.parametrize("step", [0.02, 0.2])
def test_going_from_a_label_to_a_class_raises_the_score(name, step):
    eye = torch.eye(16)
    encode = between(dict(zip("abcd", eye, strict=False)))
    concepts = Concepts(["a", "b"], eye[:2], ["c", "d"], eye[2:4], encode=encode)
    angles = torch.arange(step, 1.5, step)
    path = angles[:, None].sin() * eye[0] + angles[:, None].cos() * eye[2]
    detector = get_detector(name, temperature=0.5).fit(concepts)
    scores = torch.cat([detector.score_samples(image[None]) for image in path])
    assert (scores.diff() > 0).all()


WRONG = [
    ({"quantile": 1.5}, "the quantile must lie between 0 and 1"),
    ({"keep": 0.0}, "keep is the share of labels to keep"),
    ({"keep_adjectives": 1.5}, "keep_adjectives is the share of labels to keep"),
    ({"groups": 0}, "groups must be at least 1"),
]
MINING = ("neg_label", "csp", "ada_neg", "neg_refine", "dnm", "renyi_neg")


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [(name, *case) for name in MINING for case in WRONG if case[0].keys() <= get_detector(name).get_params().keys()],
)
def test_says_what_is_wrong(name, wrong, message):
    with pytest.raises(OodlibError, match=message):
        get_detector(name, **wrong).fit(concepts())
