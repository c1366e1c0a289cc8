import numpy as np
import pytest
import torch

from oodlib.detectors.energy import Energy, negative_energy


@pytest.mark.parametrize(("name", "temperature"), [("T1", 1.0), ("T0p01", 0.01)])
def test_agrees_with_the_official_code(golden, golden_concepts, assert_matches, name, temperature):
    g = golden("mcm")
    detector = Energy(temperature).fit(golden_concepts(g["id_text_raw"]))
    images = g["image_id"], g["image_ood"]
    assert_matches(detector, images, [g[f"score_energy_{name}_{part}"] for part in ("id", "ood")])


def test_takes_the_temperature_of_the_model_by_default(golden, golden_concepts, assert_matches):
    g = golden("mcm")
    detector = Energy().fit(golden_concepts(g["id_text_raw"], logit_scale=100.0))
    assert detector.temperature_ == 0.01
    images = g["image_id"], g["image_ood"]
    assert_matches(detector, images, [g["score_energy_T0p01_id"], g["score_energy_T0p01_ood"]])


def test_at_temperature_one_it_is_nearly_the_mean_cosine(golden, golden_concepts):
    g = golden("mcm")
    concepts = golden_concepts(g["id_text_raw"])
    features = torch.nn.functional.normalize(torch.from_numpy(g["image_id"]), dim=1)
    mean = (features @ concepts.text.T).mean(1)
    energy = Energy(1.0).fit(concepts).score_samples(features)
    assert np.corrcoef(energy, mean)[0, 1] > 0.99
    assert float((energy - mean - np.log(100)).abs().max()) < 0.02


@pytest.mark.parametrize("suffix", ["T1", "T2"])
def test_core_agrees_with_openood(golden, suffix):
    g = golden("openood_ebo")
    for part in ("id", "ood"):
        logits = torch.from_numpy(g[f"{part}_x"] @ g["W"].T + g["b"])
        found = negative_energy(logits, float(g[f"param_temperature_{suffix}"]))
        np.testing.assert_allclose(found.numpy(), g[f"score_{part}_{suffix}"], rtol=1e-5)
