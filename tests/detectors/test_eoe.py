import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors.eoe import EOE, envisioned_score, not_too_similar, without_shared_words
from oodlib.detectors.mcm import MCM
from oodlib.errors import OodlibError


@pytest.fixture
def build(golden):
    def concepts(mask=slice(None), text="id_text_raw", outlier_text="outlier_text_raw"):
        g = golden("eoe")
        known, unknown = (torch.from_numpy(g[name]) for name in (text, outlier_text))
        if known.ndim == 3:  # prompts: sum of normalised features
            known, unknown = (normalize(part, dim=-1).sum(dim=1) for part in (known, unknown))
        names = g["outlier_names"][mask].tolist()
        return Concepts(g["id_names"].tolist(), normalize(known, dim=1), names, normalize(unknown, dim=1)[mask])

    return concepts


def parts(g, name):
    return (g["image_id"], g["image_ood"]), [g[f"score_{name}_{part}"] for part in ("id", "ood")]


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize(("suffix", "temperature"), [("T1", 1.0), ("T2", 0.01)])
def test_agrees_with_the_official_code(golden, build, beta, suffix, temperature):
    g, detector = golden("eoe"), EOE(beta, temperature).fit(build())
    name = f"eoe_{suffix}_beta{beta}".replace(".", "p")
    for raw, expected, first in zip(*parts(g, name), parts(g, f"eoe_{suffix}_beta0p0")[1], strict=True):
        found = detector.to_paper(detector.score_samples(normalize(torch.from_numpy(raw), dim=1)))
        # With beta = 1 the two terms nearly cancel: what is rounded is the first of them.
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * first.mean())


def test_agrees_for_near_ood(golden, build, assert_matches):
    g = golden("eoe")
    mask = without_shared_words(g["outlier_names"].tolist(), g["id_names"].tolist())
    assert mask == g["keep_word_filter"].tolist()
    assert_matches(EOE().fit(build(np.array(mask))), *parts(g, "near_eoe_T1"))
    assert_matches(EOE(max_similarity=0.85).fit(build(np.array(mask))), *parts(g, "near_in20_eoe_T1"))


def test_agrees_with_five_templates(golden, build, assert_matches):
    concepts = build(text="id_text_ens_raw", outlier_text="outlier_text_ens_raw")
    assert_matches(EOE().fit(concepts), *parts(golden("eoe"), "ensemble_eoe_T1"))


def test_drops_labels_that_are_too_near_a_class(golden, build):
    g, concepts = golden("eoe"), build()
    detector = EOE(max_similarity=float(g["prefilter_threshold"])).fit(concepts)
    assert len(detector.outlier_names_) == int(g["n_keep_prefilter085"])
    expected = normalize(torch.from_numpy(g["prefilter085_features"]), dim=1)
    torch.testing.assert_close(detector.outlier_text_, expected, rtol=1e-5, atol=1e-6)
    assert not_too_similar(concepts.text, concepts.text, 1.0).all()  # even what repeats a class stays
    with pytest.raises(OodlibError, match="raise max_similarity"):
        EOE(max_similarity=-1.0).fit(concepts)


def test_without_outliers_mass_it_is_mcm(build):
    concepts = build()
    images = concepts.text[:5]
    found = EOE(beta=0.0, temperature=0.01).fit(concepts).score_samples(images)
    assert (found <= MCM(0.01).fit(concepts).score_samples(images) + 1e-6).all()


@given(arrays(np.float64, (4, 7), elements=st.floats(-1, 1)), st.floats(0.001, 0.5), st.floats(0.05, 5))
def test_raising_the_best_label_never_raises_the_score(cosines, rise, temperature):
    raised = cosines.copy()
    raised[np.arange(4), 3 + cosines[:, 3:].argmax(1)] += rise
    before, after = (
        envisioned_score(*torch.from_numpy(c / temperature).split([3, 4], dim=1), beta=0.25) for c in (cosines, raised)
    )
    assert (after <= before + 1e-12).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float32, np.array, torch.tensor])
def test_a_score_far_out_is_a_bound_and_no_overflow(kind):
    shown = EOE(beta=0.25).to_paper(kind([200.0, -200.0, 0.0]))
    assert shown.tolist() == [1, -0.25, 0]
