import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from oodlib.arrays import sigmoid
from oodlib.concepts import Concepts
from oodlib.detectors import neg_refine
from oodlib.detectors.csp import CSP
from oodlib.detectors.neg_refine import NegRefine, neither_kind_nor_name
from oodlib.errors import OodlibError


@pytest.fixture
def concepts(golden):
    """What the reference file has, in the order of its negatives; its text tower is a table of pairs."""
    g = golden("negrefine")
    names, words = ([f"{kind} {i}" for i in range(len(g[f"{kind}_text"]))] for kind in ("id", "neg"))
    table = {}
    for part in ("id", "ood"):
        places = g[f"top_pos_index_{part}"], g[f"top_neg_index_{part}"], g[f"pair_text_{part}"]
        for classes, negatives, pairs in zip(*places, strict=True):
            for i, row in zip(classes, pairs, strict=True):
                table |= {f"id {i} and neg {j}": pair for j, pair in zip(negatives, row, strict=True)}

    def encode(texts):
        return torch.from_numpy(np.stack([table[text] for text in texts]))

    return Concepts(names, torch.from_numpy(g["id_text"]), words, torch.from_numpy(g["neg_text"]), encode=encode)


@pytest.fixture
def released(golden, concepts):
    """Fitted, with the negatives in the order that the released code had them in."""
    detector = NegRefine(keep=1.0, max_similarity=2.0).fit(concepts)
    back = np.argsort(detector.selected_)
    detector.selected_ = detector.selected_[back]
    detector.restrict(back)
    return detector


def test_agrees_with_the_official_code(golden, released, assert_matches):
    g = golden("negrefine")
    assert released.group_rows_.flatten().tolist() == g["perm"].tolist()
    assert_matches(released, (g["image_id"], g["image_ood"]), [g["score_id"], g["score_ood"]])


@pytest.mark.parametrize("part", ["id", "ood"])
def test_both_parts_agree_with_the_official_code(golden, released, part):
    g = golden("negrefine")
    images = torch.from_numpy(g[f"image_{part}"])
    known = released.cosines(images)
    pairs = sigmoid(released.best_pair(images, known))
    np.testing.assert_allclose(pairs, g[f"multi_matching_score_{part}"], rtol=1e-5)
    alone = sigmoid(released.grouped(images, known, released.outlier_text_))
    np.testing.assert_allclose(alone, g[f"neg_label_score_{part}"], rtol=1e-5)


def test_each_pair_is_encoded_once_and_slices_change_nothing(golden, released, monkeypatch):
    images = torch.from_numpy(golden("negrefine")["image_id"])
    asked, tower = [], released.encode_
    released.encode_ = lambda texts: asked.append(texts) or tower(texts)
    whole = released.score_samples(images)
    assert len(asked) == 1
    assert len(set(asked[0])) == len(asked[0]) < 25 * len(images)
    monkeypatch.setattr(neg_refine, "_HOT", 3 * 25 * images.shape[1])
    torch.testing.assert_close(released.score_samples(images), whole)
    assert released.score_samples(images[:0]).shape == (0,)


EYE = torch.eye(8)
WORDS = ["poodle", "Great_Dane", "everest", "bus", "sofa"]


def known(**parameters):
    """Dogs, with words of which two are dogs and one is a proper name."""
    texts = dict(zip(["dog", *WORDS], EYE, strict=False))

    def encode(some):
        return normalize(torch.stack([sum(texts[part] for part in text.split(" and ")) for text in some]), dim=1)

    concepts = Concepts(["dog"], EYE[:1], WORDS, EYE[1:6], encode=encode)
    return NegRefine(keep=1.0, **parameters).fit(concepts)


def test_kinds_of_a_class_and_proper_names_leave():
    assert known().outlier_names_ == ("bus", "sofa")
    assert known().selected_.tolist() == [3, 4]
    assert known(hypernyms=False).outlier_names_ == tuple(WORDS)
    with pytest.raises(OodlibError, match=r"every mined word is a kind of a class or a proper name: .*hypernyms=False"):
        NegRefine(keep=1.0).fit(Concepts(["dog"], EYE[:1], WORDS[:3], EYE[1:4], encode=lambda texts: EYE[:1]))


def test_no_word_that_stays_is_a_kind_of_a_class():
    words = ["terrier", "hound", "wolf", "hot dog", "cat", "animal"]
    assert neither_kind_nor_name(words, ["dog"]) == [False, False, True, False, True, True]
    assert neither_kind_nor_name(words, []) == [True] * 6


@given(st.floats(0.05, 1.5))
def test_a_class_beside_something_else_is_more_id_than_that_alone(angle):
    both = np.cos(angle) * EYE[4] + np.sin(angle) * EYE[0]
    detector = known(temperature=0.1)
    together, alone = detector.score_samples(torch.stack([both, EYE[4]]))
    assert together > alone


def test_without_a_weight_it_is_csp(golden, concepts):
    images = torch.from_numpy(golden("negrefine")["image_id"])
    plain = CSP().fit(concepts)
    refined = NegRefine(weight=0.0, hypernyms=False).fit(concepts)
    refined.encode_ = lambda texts: EYE[[0] * len(texts)].repeat(1, 8)
    torch.testing.assert_close(refined.score_samples(images), plain.score_samples(images))


def test_it_says_what_it_lacks():
    detector = known()
    bare = dataclasses.replace(Concepts(["dog"], EYE[:1], WORDS, EYE[1:6]))
    with pytest.raises(OodlibError, match=r"NegRefine needs the model's text tower: pass Concepts\(encode=...\)"):
        NegRefine().fit(bare)
    again = NegRefine(keep=1.0).restore(detector.state())
    assert detector.encode_ is not None
    with pytest.raises(OodlibError, match=r"was restored without a text tower: set its encode_"):
        again.score_samples(EYE)
    for wrong in ({"weight": -1.0}, {"best": 0}):
        with pytest.raises(OodlibError, match="the weight of pairs must be 0 or more, and best at least 1"):
            known(**wrong)
