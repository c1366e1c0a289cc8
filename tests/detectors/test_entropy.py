import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oodlib.detectors.entropy import Entropy, negative_entropy


@pytest.mark.parametrize(("name", "temperature"), [("T1", 1.0), ("T0p01", 0.01)])
def test_agrees_with_the_official_code(golden, golden_concepts, assert_matches, name, temperature):
    g = golden("mcm")
    detector = Entropy(temperature).fit(golden_concepts(g["id_text_raw"]))
    images = g["image_id"], g["image_ood"]
    assert_matches(detector, images, [g[f"score_entropy_{name}_{part}"] for part in ("id", "ood")])


@given(arrays(np.float64, (3, 6), elements=st.floats(-1, 1)), st.floats(0.01, 5))
def test_lies_between_undecided_and_certain(cosines, temperature):
    found = negative_entropy(torch.from_numpy(cosines), temperature)
    assert (found >= -np.log(6) - 1e-12).all()
    assert (found <= 0).all()


def test_a_certain_answer_has_no_entropy():
    assert float(negative_entropy(torch.tensor([[1.0, -1.0]]), 1e-3)) == 0
