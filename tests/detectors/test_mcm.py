import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oodlib.arrays import sigmoid
from oodlib.detectors._log_odds import largest_share
from oodlib.detectors.mcm import MCM


@pytest.mark.parametrize(("name", "temperature"), [("T1", 1.0), ("T0p01", 0.01)])
def test_agrees_with_the_official_code(golden, golden_concepts, assert_matches, name, temperature):
    g = golden("mcm")
    detector = MCM(temperature).fit(golden_concepts(g["id_text_raw"]))
    images = g["image_id"], g["image_ood"]
    assert_matches(detector, images, [g[f"score_mcm_{name}_{part}"] for part in ("id", "ood")])


@pytest.mark.parametrize("suffix", ["tau1", "tau0p01"])
def test_core_agrees_with_openood(golden, suffix):
    g = golden("openood_mcm")
    for part in ("id", "ood"):
        logits = torch.from_numpy(g[f"{part}_x"] @ g["W"].T + g["b"])
        found = largest_share(logits / float(g[f"param_tau_{suffix}"]))
        np.testing.assert_allclose(sigmoid(found), g[f"score_{part}_{suffix}"], rtol=1e-5)


@given(arrays(np.float64, (4, 5), elements=st.floats(-1, 1)), st.floats(0.001, 0.5), st.floats(0.05, 5))
def test_raising_the_best_cosine_never_lowers_the_score(cosines, rise, temperature):
    raised = cosines.copy()
    raised[np.arange(4), cosines.argmax(1)] += rise
    before, after = (largest_share(torch.from_numpy(c) / temperature) for c in (cosines, raised))
    assert (after >= before - 1e-12).all()
    assert (before >= -np.log(4) - 1e-12).all()
