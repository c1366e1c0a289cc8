import numpy as np
import pytest
import torch

from oodlib.concepts import Concepts
from oodlib.detectors import base
from oodlib.detectors.neg_label import NegLabel
from oodlib.detectors.outlier_softmax import OutlierSoftmax


@pytest.fixture
def mined(golden):
    """The labels that NegLabel's authors mined, with nothing left to mine."""
    g = golden("neglabel")
    names = [f"class {i}" for i in range(len(g["id_text"]))]
    return Concepts(names, g["id_text"], [f"word {i}" for i in range(len(g["neg_text"]))], g["neg_text"])


def test_on_mined_labels_it_is_the_official_score_without_groups(golden, mined, assert_matches):
    g = golden("neglabel")
    expected = [g[f"score_{part}_ungrouped"] for part in ("id", "ood")]
    assert_matches(OutlierSoftmax().fit(mined), (g["image_id"], g["image_ood"]), expected)


def test_it_is_neg_label_without_mining_and_groups(mined):
    expected = NegLabel(keep=1.0, groups=1).fit(mined).score_samples(mined.text)
    np.testing.assert_allclose(OutlierSoftmax().fit(mined).score_samples(mined.text), expected, rtol=1e-5)


def test_every_label_more_lowers_the_score(mined):
    few = Concepts(mined.names, mined.text, mined.outlier_names[:50], mined.outlier_text[:50])
    scores = [OutlierSoftmax(0.1).fit(c).score_samples(mined.text) for c in (few, mined)]
    assert (scores[1] < scores[0]).all()


def test_blocks_shrink_as_labels_grow(mined, monkeypatch):
    detector = OutlierSoftmax().fit(mined)
    monkeypatch.setattr(base, "_CELLS", 1008)
    assert [len(block) for block in detector.blocks(torch.zeros(5, 128))] == [2, 2, 1]  # against 200 + 304 labels
