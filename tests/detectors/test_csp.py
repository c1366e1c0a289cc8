import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors.csp import CSP
from oodlib.detectors.neg_label import NegLabel


def mean_of_raw(raw):
    """The authors' ensemble: the mean of raw text features over templates, then normalised."""
    return normalize(torch.from_numpy(raw).mean(dim=1), dim=-1)


@pytest.fixture
def concepts(golden):
    g = golden("csp")
    text, nouns, phrases = (mean_of_raw(g[name]) for name in ("id_text_raw", "noun_text_raw", "adj_text_raw"))
    np.testing.assert_allclose(text, g["id_text"], atol=1e-6)
    return Concepts(
        names=[f"class {i}" for i in range(len(text))],
        text=text,
        outlier_names=[f"noun {i}" for i in range(len(nouns))] + g["adj_phrases"].tolist(),
        outlier_text=torch.cat([nouns, phrases]),
        outlier_kinds=["noun"] * len(nouns) + ["adjective"] * len(phrases),
    )


def test_mines_what_the_official_code_mines(golden, concepts):
    g = golden("csp")
    detector = CSP().fit(concepts)
    assert detector.selected_.tolist() == g["selected_index"].tolist()
    np.testing.assert_allclose(detector.outlier_text_, g["neg_text"], atol=1e-6)
    expected = np.concatenate([g["neg_distance_noun"], g["neg_distance_adj"]])
    np.testing.assert_allclose(detector.similarity(concepts.outlier_text), expected, rtol=1e-5)
    assert (expected == 1).any()


@pytest.mark.parametrize(("suffix", "groups"), [("ng100", 100), ("ng2", 13), ("ng1", 1)])
def test_agrees_with_the_official_code(golden, concepts, assert_matches, suffix, groups):
    g = golden("csp")
    detector = CSP(groups=groups).fit(concepts)
    assert_matches(detector, (g["image_id"], g["image_ood"]), [g[f"score_{part}_{suffix}"] for part in ("id", "ood")])
    if groups > 1:
        assert detector.group_rows_.flatten().tolist() == g[f"perm_{suffix}"].tolist()


def test_labels_that_repeat_a_class_come_last(concepts):
    detector = CSP(keep=1.0).fit(concepts)
    best = (detector.outlier_text_ @ concepts.text.T).amax(dim=1) > 0.95
    nouns = concepts.outlier_kinds.count("noun")
    for part in (best[:nouns], best[nouns:]):
        assert part.int().diff().min() >= 0  # in each kind: first those that are far enough, then the others


def test_without_such_labels_it_is_neg_label(concepts):
    images = concepts.text[:9]
    found = CSP(max_similarity=1.1).fit(concepts).score_samples(images)
    torch.testing.assert_close(found, NegLabel().fit(concepts).score_samples(images))
