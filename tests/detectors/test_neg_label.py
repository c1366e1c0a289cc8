import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from oodlib.arrays import sigmoid
from oodlib.concepts import Concepts
from oodlib.detectors._outliers import known_odds
from oodlib.detectors.neg_label import NegLabel


@pytest.fixture
def concepts(golden):
    g = golden("neglabel")
    kinds = ["noun"] * len(g["noun_text"]) + ["adjective"] * len(g["adj_text"])
    return Concepts(
        names=[f"class {i}" for i in range(len(g["id_text"]))],
        text=g["id_text"],
        outlier_names=[f"{kind} {i}" for i, kind in enumerate(kinds)],
        outlier_text=np.concatenate([g["noun_text"], g["adj_text"]]),
        outlier_kinds=kinds,
    )


def test_mines_what_the_official_code_mines(golden, concepts):
    g = golden("neglabel")
    detector = NegLabel(quantile=float(g["percentile"]), keep=float(g["neg_topk"])).fit(concepts)
    assert detector.selected_.tolist() == g["selected_index"].tolist()
    np.testing.assert_allclose(detector.outlier_text_, g["neg_text"], rtol=1e-5)
    assert detector.outlier_names_ == tuple(concepts.outlier_names[i] for i in g["selected_index"])
    for part in ("noun", "adj"):
        found = detector.similarity(g[f"{part}_text"])
        np.testing.assert_allclose(found, g[f"neg_distance_{part}"], rtol=1e-5)


@pytest.mark.parametrize(
    ("suffix", "groups", "temperature"),
    [("ng100", 100, 0.01), ("ng2", 7, 0.01), ("ng100_t2", 100, 0.02), ("ungrouped", 1, 0.01)],
)
def test_agrees_with_the_official_code(golden, concepts, assert_matches, suffix, groups, temperature):
    g = golden("neglabel")
    detector = NegLabel(groups=groups, temperature=temperature).fit(concepts)
    images = g["image_id"], g["image_ood"]
    assert_matches(detector, images, [g[f"score_{part}_{suffix}"] for part in ("id", "ood")])


def test_the_permutation_is_that_of_the_official_code_on_the_cpu(golden, concepts):
    g = golden("neglabel")
    for name, groups in (("perm_ng100", 100), ("perm_ng2", 7)):
        detector = NegLabel(groups=groups).fit(concepts)
        assert detector.group_rows_.flatten().tolist() == g[name].tolist()
        assert detector.group_rows_.shape == (groups, 304 // groups)


@pytest.mark.parametrize("part", ["id", "ood"])
def test_core_agrees_without_a_permutation(golden, part):
    g = golden("neglabel")
    images, text, negatives = (torch.from_numpy(g[name]) for name in (f"image_{part}", "id_text", "neg_text"))
    unknown = (images @ negatives[:300].T).reshape(len(images), 100, 3)
    found = sigmoid(known_odds(images @ text.T / 0.01, unknown / 0.01))
    np.testing.assert_allclose(found, g[f"score_{part}_ng100_noperm"], rtol=1e-5)


def test_keep_all_keeps_all(concepts):
    detector = NegLabel(keep=1.0).fit(concepts)
    assert sorted(detector.selected_.tolist()) == list(range(2030))
    assert detector.labels_compared() == 200 + 2030


@given(st.integers(0, 100), st.floats(0.005, 0.2))
def test_a_class_more_never_lowers_the_score_where_the_mined_labels_stay(seed, temperature):
    drawn = normalize(torch.randn(14, 8, generator=torch.Generator().manual_seed(seed)), dim=1)
    names = [f"word {i}" for i in range(6)]
    few, more = (
        NegLabel(keep=1.0, groups=1, temperature=temperature).fit(
            Concepts([str(i) for i in range(n)], drawn[:n], names, drawn[8:])
        )
        for n in (3, 4)
    )
    before, after = few.score_samples(drawn), more.score_samples(drawn)
    assert (after >= before - 1e-6 * (1 + before.abs())).all()
