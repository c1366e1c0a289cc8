import numpy as np
import torch

from oodlib.arrays import sigmoid
from oodlib.detectors._log_odds import largest_share
from oodlib.detectors.mcm import MCM
from oodlib.detectors.msp import MSP


def test_is_mcm_at_the_temperature_of_the_model(golden, golden_concepts, assert_matches):
    g = golden("mcm")
    images = g["image_id"], g["image_ood"]
    detector = MSP().fit(golden_concepts(g["id_text_raw"], logit_scale=100.0))
    assert detector.temperature_ == 0.01
    assert_matches(detector, images, [g["score_mcm_T0p01_id"], g["score_mcm_T0p01_ood"]])


def test_follows_the_logit_scale_of_the_concepts(golden, golden_concepts):
    g = golden("mcm")
    concepts = golden_concepts(g["id_text_raw"], logit_scale=20.0)
    features = concepts.text[:5]
    expected = MCM(temperature=1 / 20).fit(concepts).score_samples(features)
    torch.testing.assert_close(MSP().fit(concepts).score_samples(features), expected, rtol=0, atol=0)


def test_core_agrees_with_openood(golden):
    g = golden("openood_msp")
    for part in ("id", "ood"):
        logits = torch.from_numpy(g[f"{part}_x"] @ g["W"].T + g["b"])
        np.testing.assert_allclose(sigmoid(largest_share(logits)), g[f"score_{part}"], rtol=1e-5)
