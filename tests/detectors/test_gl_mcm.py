import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector, gl_mcm
from oodlib.detectors.gl_mcm import GLMCM
from oodlib.errors import OodlibError


@pytest.fixture
def official(golden):
    g = golden("gl_mcm")
    text = normalize(torch.from_numpy(g["id_text_raw"]), dim=-1)
    whole, patches = (normalize(torch.from_numpy(g[f"{part}_id"]), dim=-1) for part in ("global", "local"))
    return g, Concepts([f"class {i}" for i in range(len(text))], text), whole, patches.flatten(1, 2)


@pytest.mark.parametrize("temperature", [1, 2])
@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_agrees_with_the_official_code(official, temperature, weight):
    g, concepts, whole, patches = official
    detector = GLMCM(float(temperature), weight).fit(concepts)
    found = detector.to_paper(detector.score_samples(whole, patches))
    name = f"score_glmcm_T{temperature}_lam{str(weight).replace('.', 'p')}_id"
    np.testing.assert_allclose(found, g[name], rtol=1e-5)


def test_without_weight_it_is_mcm(official):
    _, concepts, whole, patches = official
    found = GLMCM(weight=0.0).fit(concepts).score_samples(whole, patches)
    torch.testing.assert_close(found, get_detector("mcm").fit(concepts).score_samples(whole))


def test_arrays_and_tensors_agree(official):
    _, concepts, whole, patches = official
    expected = GLMCM().fit(concepts).score_samples(whole, patches)
    found = GLMCM().fit(concepts).score_samples(whole.numpy(), patches.numpy())
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_patches_in_half_precision_are_computed_in_float32(official, half):
    _, concepts, whole, patches = official
    detector, rough = GLMCM(temperature=0.01).fit(concepts), patches.to(half)
    best = (100 * rough.float() @ concepts.text.T).softmax(-1).amax((1, 2))
    expected = get_detector("mcm", temperature=0.01).fit(concepts)
    expected = expected.to_paper(expected.score_samples(whole)) + best
    found = detector.score_samples(whole, rough)
    assert found.dtype == torch.float32
    torch.testing.assert_close(detector.to_paper(found), expected, rtol=1e-5, atol=1e-6)
    if half == torch.float16:  # which NumPy has
        np.testing.assert_allclose(detector.score_samples(whole.numpy(), rough.numpy()), found, rtol=1e-5, atol=1e-5)


def test_blocks_change_nothing(official, monkeypatch):
    _, concepts, whole, patches = official
    expected = GLMCM().fit(concepts).score_samples(whole, patches)
    monkeypatch.setattr(gl_mcm, "_CELLS", 5000)
    torch.testing.assert_close(GLMCM().fit(concepts).score_samples(whole, patches), expected)


def test_what_does_not_fit_is_named(official):
    _, concepts, whole, patches = official
    detector = GLMCM().fit(concepts)
    with pytest.raises(OodlibError, match=r"pass \(N, P, D\) for the same 120 pictures"):
        detector.score_samples(whole, patches[:5])
    with pytest.raises(OodlibError, match="patches is not L2-normalised"):
        detector.score_samples(whole, 2 * patches)
    with pytest.raises(OodlibError, match=r"pass score_samples\(features, patches\)"):
        detector.score_samples(whole)
    with pytest.raises(NotFittedError):
        GLMCM().score_samples(whole, patches)
    with pytest.raises(OodlibError, match="the weight of the patches must be 0 or more"):
        GLMCM(weight=-1.0).fit(concepts)
