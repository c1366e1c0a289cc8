import pytest
import torch

from oodlib.concepts import Concepts
from oodlib.detectors.logit_gap import LogitGap
from oodlib.errors import OodlibError


@pytest.mark.parametrize("top", [1, 5, 20, 88, 99])
def test_agrees_with_the_official_code(golden, golden_concepts, assert_matches, top):
    g = golden("logitgap")
    detector = LogitGap(top).fit(golden_concepts(g["id_text_raw"][0]))
    images = g["image_id_raw"], g["image_ood_raw"]
    assert_matches(detector, images, [g[f"score_logitgap_topn_N{top}_T1_{part}"] for part in ("id", "ood")])


@pytest.mark.parametrize(
    ("classes", "top", "used"), [(100, None, 20), (10, None, 2), (3, None, 1), (10, 50, 9), (10, 4, 4)]
)
def test_number_of_gaps(classes, top, used):
    concepts = Concepts([str(i) for i in range(classes)], torch.eye(classes))
    assert LogitGap(top).fit(concepts).top_ == used


def test_one_gap_is_the_margin():
    concepts = Concepts(["a", "b", "c"], torch.eye(3))
    found = LogitGap(top=1).fit(concepts).score_samples(torch.tensor([[0.6, 0.8, 0.0]]))
    assert float(found) == pytest.approx(0.2, abs=1e-6)


def test_says_what_is_wrong():
    with pytest.raises(OodlibError, match="LogitGap needs at least two classes"):
        LogitGap().fit(Concepts(["a"], torch.eye(1)))
    with pytest.raises(OodlibError, match="top=0: LogitGap needs at least one gap"):
        LogitGap(top=0).fit(Concepts(["a", "b"], torch.eye(2)))
