import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import NotFittedError

from oodlib.concepts import Concepts
from oodlib.detectors._log_odds import log_divergence, log_entropy
from oodlib.detectors.entropy import Entropy
from oodlib.errors import OodlibError


@pytest.mark.parametrize(("name", "temperature"), [("T1", 1.0), ("T0p01", 0.01)])
def test_agrees_with_the_official_code(golden, golden_concepts, assert_matches, name, temperature):
    g = golden("mcm")
    detector = Entropy(temperature).fit(golden_concepts(g["id_text_raw"]))
    images = g["image_id"], g["image_ood"]
    assert_matches(detector, images, [g[f"score_entropy_{name}_{part}"] for part in ("id", "ood")])


@given(arrays(np.float64, (3, 6), elements=st.floats(-1, 1)), st.floats(0.01, 5))
def test_lies_between_undecided_and_certain(cosines, temperature):
    logits = torch.from_numpy(cosines / temperature)
    found = log_entropy(logits).exp()
    torch.testing.assert_close(found, torch.special.entr(logits.softmax(-1)).sum(-1), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(log_divergence(logits).exp(), np.log(6) - found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_neither_end_is_rounded_away(kind):
    """Nearly certain, the entropy is 200 times 1e-87; nearly undecided, half the variance of the logits is left."""
    sure, unsure = np.array([[0, -200]], dtype=kind), np.array([[1e-3, -1e-3]], dtype=kind)
    for some in (sure, torch.from_numpy(sure)):
        np.testing.assert_allclose(log_entropy(some), np.log(201) - 200, rtol=1e-6)
    digits = 1e-6 if kind is np.float64 else 5e-5  # processors differ in the last digit of the expm1 of a float32
    for some in (unsure, torch.from_numpy(unsure)):
        np.testing.assert_allclose(log_divergence(some), np.log(0.5e-6), rtol=digits)


def test_one_class_alone_is_refused():
    with pytest.raises(OodlibError, match="Entropy needs at least two classes"):
        Entropy().fit(Concepts(["cat"], torch.eye(3)[:1]))


def test_before_fit_there_are_no_bounds():
    with pytest.raises(NotFittedError):
        Entropy().to_paper(0.0)
