import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import dnm
from oodlib.detectors.dnm import DNM, crowding
from oodlib.detectors.neg_label import NegLabel
from oodlib.errors import OodlibError


def unit(n, seed, width=16):
    return normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def with_words(classes, words, seed=0):
    names = [f"class {i}" for i in range(classes)], [f"word {i}" for i in range(words)]
    return Concepts(names[0], unit(classes, seed + 1), names[1], unit(words, seed + 2))


@pytest.fixture
def released(golden, monkeypatch):
    """The concepts of the reference file, mined as the released code does: with the lengths of raw features."""
    g = golden("dnm")
    raw = np.concatenate([g["noun_text_raw"], g["adj_text_raw"]])
    lengths = torch.from_numpy(np.linalg.norm(raw, axis=1))
    monkeypatch.setattr(dnm, "crowding", lambda words, neighbours: crowding(words, neighbours, lengths))

    def build(classes):
        return Concepts(
            names=[f"class {i}" for i in range(classes)],
            text=normalize(torch.from_numpy(g["id_text_raw"][:classes]), dim=1),
            outlier_names=[f"word {i}" for i in range(len(raw))],
            outlier_text=normalize(torch.from_numpy(raw), dim=1),
            outlier_kinds=["noun"] * len(g["noun_text_raw"]) + ["adjective"] * len(g["adj_text_raw"]),
        )

    return build


def dealt(detector, permutation):
    """The detector with the groups of the reference file: the released code draws them anew at each call."""
    detector.group_rows_ = permutation.reshape(detector.group_rows_.shape)
    return detector


def test_mines_what_the_official_code_mines(golden, released):
    g = golden("dnm")
    concepts = released(120)
    found = dnm.crowding(concepts.outlier_text, int(g["k1"]))
    np.testing.assert_allclose(found, g["mining_value"], rtol=1e-5)
    detector = DNM().fit(concepts)
    nouns = g["order_noun"][: int(g["n_keep_noun"])]
    adjectives = len(g["order_noun"]) + g["order_adj"][: int(g["n_keep_adj"])]
    assert detector.selected_.tolist() == [*nouns, *adjectives]
    np.testing.assert_allclose(detector.outlier_text_, normalize(torch.from_numpy(g["neg_text"]), dim=1), atol=1e-6)


@pytest.mark.parametrize("variant", ["", "_b", "_tau1"])
def test_agrees_with_the_official_code(golden, released, assert_matches, variant):
    g = golden("dnm")
    parameters = {"groups": int(g[f"ngroups{variant}"]), "weight": float(g[f"tau_ood{variant}"])}
    detector = dealt(DNM(**parameters).fit(released(120)), g[f"perm{variant}"])
    assert_matches(detector, (g["image_id"], g["image_ood"]), [g[f"score{variant}_{part}"] for part in ("id", "ood")])


def test_refuses_where_the_released_denominator_turns_negative(golden, released):
    g = golden("dnm")
    few = {"groups": int(g["ngroups_few"]), "weight": float(g["tau_ood_few"])}
    assert (g["score_few_id"] < 0).any()  # what a share of a softmax never is
    concepts = released(int(g["n_few"]))
    with pytest.raises(OodlibError, match=r"negative with 6 classes and groups of 198: pass weight=\"safe\".* 0.98 or"):
        DNM(**few).fit(concepts)
    safe = DNM(groups=few["groups"], weight="safe").fit(concepts)
    scores = safe.to_paper(safe.score_samples(torch.from_numpy(g["image_id"])))
    assert ((scores > 0) & (scores < safe.bounds[1])).all()


def test_crowding_is_that_of_a_plain_loop():
    words = unit(9, 3)
    for neighbours in (1, 4, 100):
        found = crowding(words, neighbours)
        for place, word in enumerate(words):
            others = torch.cat([words[:place], words[place + 1 :]])
            distances = ((others - word) ** 2).sum(1).sort().values[:neighbours]
            assert found[place] == pytest.approx(float(distances.log().mean()), abs=1e-5)
    assert crowding(words[:1], 5).tolist() == [0]
    assert crowding(words[[0, 0, 1]], 1).isfinite().all()  # a word that is there twice


@given(
    classes=st.integers(1, 12),
    words=st.integers(1, 40),
    groups=st.integers(1, 5),
    weight=st.floats(0.01, 1) | st.just("safe"),
    seed=st.integers(0, 20),
)
def test_it_is_the_formula_with_its_denominator_or_an_error(classes, words, groups, weight, seed):
    concepts, images = with_words(classes, words, seed), unit(5, seed + 3).double()
    images = images / images.norm(dim=1, keepdim=True)
    detector = DNM(keep=1.0, groups=groups, weight=weight, temperature=0.1)
    size = words // min(groups, words)
    if weight != "safe" and weight <= size / (size + classes):
        with pytest.raises(OodlibError, match="its denominator turns negative"):
            detector.fit(concepts)
        return
    detector.fit(concepts)
    share, rows = detector.weight_, detector.group_rows_
    known = (images @ concepts.text.double().T / 0.1).exp()
    unknown = (images @ detector.outlier_text_.double().T / 0.1).exp()
    each = []
    for group in rows:
        debiased = unknown[:, group].mean(1) / share - (1 - share) / share * known.mean(1)
        each.append(known / (known.sum(1) + len(group) * debiased)[:, None])
    expected = torch.stack(each).mean(0).mean(1)
    assert (expected > 0).all()
    torch.testing.assert_close(detector.to_paper(detector.score_samples(images)), expected, rtol=1e-6, atol=1e-12)


def test_with_a_weight_of_one_it_is_neg_label_over_the_number_of_classes():
    concepts, images = with_words(7, 30), unit(20, 9)
    whole = DNM(keep=1.0, groups=5, weight=1.0).fit(concepts)
    plain = NegLabel(keep=1.0, groups=5).fit(concepts)
    plain.restrict(np.array([plain.selected_.tolist().index(row) for row in whole.selected_]))
    plain.group_rows_ = whole.group_rows_
    torch.testing.assert_close(whole.score_samples(images), plain.score_samples(images), rtol=1e-5, atol=1e-5)
    assert whole.bounds == (0.0, 1 / 7)


@given(st.integers(1, 300), st.integers(1, 300))
def test_the_safe_weight_counts_classes_by_half(classes, words):
    eye = np.eye(2, dtype=np.float32)
    names = [str(i) for i in range(classes)], [str(i) for i in range(words)]
    concepts = Concepts(names[0], eye[[0] * classes], names[1], eye[[1] * words])
    detector = DNM(keep=1.0, groups=1, weight="safe").fit(concepts)
    assert detector.counts == pytest.approx(0.5)
    assert 0.5 < detector.weight_ <= 1


@pytest.mark.parametrize("weight", [0.0, -1.0, 1.5, "half"])
def test_a_weight_is_a_share(weight):
    with pytest.raises(OodlibError, match='the weight is a share: pass a number above 0 and at most 1, or "safe"'):
        DNM(weight=weight).fit(with_words(3, 5))
    with pytest.raises(OodlibError, match="neighbours is a count"):
        DNM(neighbours=0).fit(with_words(3, 5))
