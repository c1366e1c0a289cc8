import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import renyi_neg
from oodlib.detectors.csp import CSP
from oodlib.detectors.renyi_neg import RenyiNeg
from oodlib.errors import OodlibError


def unit(n, seed, width=16):
    drawn = torch.randn(n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return normalize(drawn, dim=1)


def with_words(classes=5, words=30):
    names = [f"class {i}" for i in range(classes)], [f"word {i}" for i in range(words)]
    return Concepts(names[0], unit(classes, 1).float(), names[1], unit(words, 2).float())


def released(known, unknown, *, temperature, eta, order, start, rate, steps):
    """The released code's steps, powers and all, on cosines: (n, C), (n, M) -> (n,)."""
    both, power = torch.cat([known, unknown], 1), order / (order - 1)
    beta = torch.full((len(known), 1), start * temperature, dtype=known.dtype)
    for _ in range(steps):
        d = (both - beta).relu() / temperature
        norm, less = d.pow(power).mean(1, keepdim=True), d.pow(power - 1).mean(1, keepdim=True)
        beta = beta - rate * temperature * (1 - eta * norm ** (1 / power - 1) * less)
    worst = ((both - beta).relu() / temperature).pow(power).mean(1) ** (1 / power)
    return ((known - beta) / temperature).exp().sum(1).log() - eta * worst


@pytest.mark.parametrize("variant", ["b16", "b32", "noiter", "r2"])
def test_agrees_with_the_official_code(golden, variant):
    g = golden("renyi_neg")
    temperature = float(g[f"temp_{variant}"])
    parameters = {"eta": g[f"eta_{variant}"], "order": g[f"r_{variant}"], "start": g[f"beta_{variant}"] / temperature}
    parameters["rate"] = g[f"lr_{variant}"] / temperature
    detector = RenyiNeg(
        keep=1.0,
        temperature=temperature,
        steps=int(g[f"epochs_{variant}"]),
        **{name: float(value) for name, value in parameters.items()},
    )
    text, words = (normalize(torch.from_numpy(g[f"{part}_text_raw"]), dim=1) for part in ("id", "neg"))
    names = [f"class {i}" for i in range(len(text))], [f"word {i}" for i in range(len(words))]
    detector.fit(Concepts(names[0], text, names[1], words))
    images = g["image_id"], g["image_ood"]
    for raw, part in zip(images, ("id", "ood"), strict=True):
        scores = g[f"score_{variant}_{part}"]
        found = detector.score_samples(normalize(torch.from_numpy(raw), dim=1))
        # a score is the difference of two numbers of about 50, and may be one of 0.01: float32 has no more of it
        np.testing.assert_allclose(found, scores, rtol=1e-5, atol=1e-5 * np.abs(scores).mean())
    both = normalize(torch.from_numpy(np.concatenate(images)), dim=1) @ torch.cat([text, words]).T / temperature
    beta = detector.descend(both, detector.order / (detector.order - 1)) * temperature
    np.testing.assert_allclose(beta, g[f"beta_final_{variant}"], rtol=1e-5, atol=1e-6)


def test_the_defaults_are_those_of_the_paper_for_its_backbone(golden):
    g, detector = golden("renyi_neg"), RenyiNeg()
    assert detector.start * detector.temperature == pytest.approx(float(g["beta_b16"]))
    assert detector.rate * detector.temperature == pytest.approx(float(g["lr_b16"]))
    assert (detector.eta, detector.order, detector.steps) == (g["eta_b16"], g["r_b16"], g["epochs_b16"])


@given(
    temperature=st.floats(0.02, 0.5),
    order=st.floats(1.05, 3),
    eta=st.floats(0.5, 2),
    steps=st.integers(0, 20),
    start=st.floats(-20, 0),
)
def test_it_is_the_released_formula_in_another_arithmetic(temperature, order, eta, steps, start):
    chosen = {"temperature": temperature, "order": order, "eta": eta, "steps": steps, "start": start, "rate": 1.0}
    concepts, images = with_words(), unit(6, 3)
    detector = RenyiNeg(keep=1.0, **chosen).fit(concepts)
    known, unknown = (images @ part.double().T for part in (concepts.text, detector.outlier_text_))
    expected = released(known, unknown, **chosen)
    found = detector.score_samples(images)
    assert found.isfinite().all()
    some = expected.isfinite()  # the released code divides 0 by 0 where beta has overtaken every cosine
    torch.testing.assert_close(found[some], expected[some], rtol=1e-6, atol=1e-8)


def test_nothing_overflows_where_the_released_powers_do():
    concepts = with_words()
    images, chosen = concepts.text, {"eta": 1.2, "order": 1.05, "start": -10.0, "rate": 1.0, "steps": 15}
    known, unknown = images @ concepts.text.T, images @ concepts.outlier_text.T
    assert not released(known, unknown, temperature=0.005, **chosen).isfinite().all()  # in float32
    exact = released(known.double(), unknown.double(), temperature=0.005, **chosen)
    detector = RenyiNeg(keep=1.0, temperature=0.005, **chosen).fit(concepts)
    np.testing.assert_allclose(detector.score_samples(images), exact, rtol=1e-4)
    assert np.isfinite(detector.score_samples(images.numpy())).all()


@given(st.integers(0, 29), st.floats(0, 20), st.floats(1.05, 3))
def test_a_word_that_fits_better_never_raises_the_score(word, more, order):
    images, concepts = unit(6, 3), with_words()
    detector = RenyiNeg(keep=1.0, temperature=0.1, order=order, steps=0).fit(concepts)
    known, unknown = (images @ part.double().T / 0.1 for part in (concepts.text, detector.outlier_text_))
    raised = unknown.clone()
    raised[:, word] += more
    assert (detector.energy(known, raised) <= detector.energy(known, unknown) + 1e-9).all()


def test_a_class_that_fits_better_may_lower_it():
    """The best class is in the mean as well, with a weight above 1: so say its notes."""
    eye = torch.eye(8)
    detector = RenyiNeg(keep=1.0, temperature=0.5).fit(Concepts(["a", "b"], eye[:2], ["c", "d"], eye[2:4]))
    nearly, exactly = detector.score_samples(normalize(torch.stack([eye[0] + 0.4 * eye[2], eye[0]]), dim=1))
    assert exactly < nearly


def test_a_picture_below_the_start_has_a_score():
    eye = torch.eye(8)
    detector = RenyiNeg(keep=1.0, start=50.0, steps=3).fit(Concepts(["a"], eye[:1], ["b"], eye[1:2]))
    assert detector.score_samples(eye).isfinite().all()
    assert np.isfinite(detector.score_samples(eye.numpy())).all()


@pytest.mark.parametrize("kind", [torch.as_tensor, np.asarray])
def test_slices_change_nothing(kind, monkeypatch):
    detector, images = RenyiNeg(keep=1.0).fit(with_words()), kind(unit(9, 3).float())
    whole = detector.score_samples(images)
    monkeypatch.setattr(renyi_neg, "_HOT", 2 * 35)
    np.testing.assert_allclose(detector.score_samples(images), whole, rtol=1e-5)


def test_mining_is_that_of_csp_with_fewer_adjectives():
    plain = with_words(words=40)
    kinds = ["noun"] * 20 + ["adjective"] * 20
    concepts = Concepts(plain.names, plain.text, plain.outlier_names, plain.outlier_text, kinds)
    ours, csp = RenyiNeg().fit(concepts), CSP(keep=0.15).fit(concepts)
    assert ours.outlier_names_ == (*csp.outlier_names_[:3], *csp.outlier_names_[3:5])
    assert len(csp.outlier_names_) == 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"eta": 0.0}, "eta must be above 0, and the order of the divergence above 1"),
        ({"order": 1.0}, "eta must be above 0, and the order of the divergence above 1"),
        ({"steps": -1}, "steps must be 0 or more, and their rate above 0"),
        ({"rate": 0.0}, "steps must be 0 or more, and their rate above 0"),
    ],
)
def test_says_what_is_wrong(wrong, message):
    with pytest.raises(OodlibError, match=message):
        RenyiNeg(**wrong).fit(with_words())
