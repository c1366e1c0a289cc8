import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from oodlib.arrays import sigmoid
from oodlib.concepts import Concepts
from oodlib.detectors._no import yes_odds
from oodlib.detectors.clipn_atd import ClipnATD
from oodlib.detectors.clipn_ctw import ClipnCTW
from oodlib.errors import OodlibError

both = pytest.mark.parametrize("method", [ClipnATD, ClipnCTW])


def rows(n, seed, d=12):
    return normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.fixture
def official(golden):
    g = golden("ole")
    return Concepts([f"class {i}" for i in range(len(g["id_yes"]))], g["id_yes"], no_text=g["id_no"])


def test_atd_agrees_with_the_official_code(golden, official):
    g = golden("ole")
    detector = ClipnATD(temperature=1 / g["scale"].item()).fit(official)
    for images in ("id", "ood"):
        found = detector.to_paper(detector.score_samples(g[f"image_{images}"]))
        np.testing.assert_allclose(found, g[f"score_nobank_{images}"], rtol=1e-5)


def test_ctw_agrees_with_the_official_logits(golden, official):
    """The reference file keeps official logits, with "no" and without, of eight pictures."""
    g = golden("ole")
    logits, no_logits = g["logits_first8"][:, : len(official.names)], g["logits_no_first8"]
    best = np.arange(8), logits.argmax(axis=1)
    yes, no = np.exp(logits[best].astype(float)), np.exp(no_logits[best].astype(float))
    found = ClipnCTW(temperature=1 / g["scale"].item()).fit(official).score_samples(g["image_id"][:8])
    np.testing.assert_allclose(sigmoid(found), yes / (yes + no), rtol=1e-5)


@both
def test_is_what_a_plain_loop_computes(method):
    text, no_text, images = rows(5, 0).double(), rows(5, 1).double(), rows(7, 2).double()
    images /= images.norm(dim=1, keepdim=True)
    found = method(temperature=1 / 7).fit(Concepts(list("abcde"), text, no_text=no_text)).score_samples(images)
    for score, image in zip(sigmoid(found), images, strict=True):
        known = [float(torch.exp(7 * image @ t)) for t in text]
        refused = [float(torch.exp(7 * image @ t)) for t in no_text]
        yes = [k / (k + r) for k, r in zip(known, refused, strict=True)]
        atd = sum(y * k / sum(known) for y, k in zip(yes, known, strict=True))
        ctw = yes[known.index(max(known))]
        assert float(score) == pytest.approx(atd if method is ClipnATD else ctw, rel=1e-6)


def test_two_answers_where_no_is_unrelated():
    """With names and "no" features all orthogonal to an image, every answer is even."""
    concepts = Concepts(["a", "b"], torch.eye(6)[:2], no_text=torch.eye(6)[2:4])
    for method in (ClipnATD, ClipnCTW):
        found = method().fit(concepts).score_samples(torch.eye(6)[5:])
        assert float(found) == pytest.approx(0, abs=1e-6)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.5), st.floats(0.01, 1))
def test_yes_rises_with_the_name_and_falls_with_no(cosine, no_cosine, rise, temperature):
    a, b = torch.tensor([cosine], dtype=torch.float64), torch.tensor([no_cosine], dtype=torch.float64)
    before = yes_odds(a, b, temperature)
    assert yes_odds(a + rise, b, temperature) >= before
    assert yes_odds(a, b + rise, temperature) <= before
    assert yes_odds(b, a, temperature) == -before


@given(st.integers(0, 1000), st.floats(0.01, 1))
def test_atd_of_one_class_is_ctw(seed, temperature):
    concepts = Concepts(["a"], rows(1, seed), no_text=rows(1, seed + 1))
    images = rows(6, seed + 2)
    found = ClipnATD(temperature).fit(concepts).score_samples(images)
    torch.testing.assert_close(found, ClipnCTW(temperature).fit(concepts).score_samples(images))


def test_atd_lies_below_the_best_yes():
    concepts = Concepts(list("abcd"), rows(4, 0), no_text=rows(4, 1))
    images = rows(50, 2)
    yes = yes_odds(images @ concepts.text.T, images @ concepts.no_text.T, 0.1)
    found = ClipnATD(temperature=0.1).fit(concepts).score_samples(images)
    assert (found <= yes.amax(1) + 1e-6).all()
    assert (found >= yes.amin(1) - 1e-6).all()


@both
def test_says_what_is_wrong(method):
    with pytest.raises(OodlibError, match=rf'{method.__name__} needs the "no" feature of each name: pass Concepts'):
        method().fit(Concepts(["cat", "dog"], torch.eye(2)))
    with pytest.raises(OodlibError, match=rf"{method.__name__}\(temperature=0\): the temperature divides cosines"):
        method(temperature=0).fit(Concepts(["cat", "dog"], torch.eye(2), no_text=torch.eye(2)))
