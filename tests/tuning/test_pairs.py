"""The detector of pairs: what each of its parts sees, what it cannot see, and what it refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from oodlib.arrays import normalize
from oodlib.errors import OodlibError
from oodlib.tuning.pairs import PairDetector

SIZE, CLASSES = 32, 8


def made(seed: int, n: int = 240):
    """Pairs of known classes, and as many misaligned and new ones: pictures, texts, kind (0 ID, 1, 2)."""
    centres = normalize(np.random.default_rng(7).standard_normal((2 * CLASSES, SIZE)).astype(np.float32))
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.arange(n) % 3)
    shown = rng.integers(0, CLASSES, n) + CLASSES * (kind == 2)
    said = np.where(kind == 1, (shown + rng.integers(1, CLASSES, n)) % CLASSES, shown)
    noise = 0.05 * rng.standard_normal((2, n, SIZE)).astype(np.float32)
    return normalize(centres[shown] + noise[0]), normalize(centres[said] + noise[1]), kind


def auroc(scores, kind, which):
    rows = np.isin(kind, (0, which))
    return roc_auc_score(kind[rows] == 0, scores[rows])


@pytest.fixture(scope="module")
def taught():
    v, t, kind = made(0)
    return PairDetector().fit(v, t, kind > 0)


def test_both_kinds_are_told_apart(taught):
    v, t, kind = made(1)
    scores = taught.score(v, t)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert auroc(scores, kind, 1) > 0.9
    assert auroc(scores, kind, 2) > 0.9


def test_a_new_domain_is_invisible_to_the_cosine_and_a_wrong_text_to_the_picture():
    v, t, kind = made(1)
    cosine = (v * t).sum(1)
    assert auroc(cosine, kind, 1) > 0.95
    assert abs(auroc(cosine, kind, 2) - 0.5) < 0.15
    known = made(2)[0][made(2)[2] == 0]
    near = (v @ known.T).max(1)
    assert auroc(near, kind, 2) > 0.95
    assert abs(auroc(near, kind, 1) - 0.5) < 0.15


def test_the_score_is_the_mean_of_its_parts(taught):
    v, t, _ = made(1)
    parts = [taught.score(v, t, reading) for reading in ("classifier", "match")]
    np.testing.assert_allclose(taught.score(v, t), np.mean(parts, axis=0), atol=1e-6)


def test_the_formula_is_that_of_a_plain_loop(taught):
    v, t, _ = made(3, 5)
    s = {name: tensor.numpy().astype(np.float64) for name, tensor in taught.state_.items()}
    for row, score in zip(range(5), taught.score(v, t), strict=True):
        u, w = s["picture"] @ v[row], s["text"] @ t[row]
        u, w = u / np.linalg.norm(u), w / np.linalg.norm(w)
        hidden = np.maximum(s["hidden"] @ np.concatenate([u, w, u * w]) + s["hidden_bias"], 0)
        p = 1 / (1 + np.exp(-(s["last"] @ hidden + s["last_bias"])[0]))
        assert score == pytest.approx((p + (1 + u @ w) / 2) / 2, abs=1e-5)


def test_the_hinge_is_met_better_the_more_it_weighs():
    v, t, kind = made(0)
    missed = []
    for weight in (0.0, 10.0):
        cosine = 2 * PairDetector(weight=weight).fit(v, t, kind > 0).score(v, t, "match") - 1
        missed.append(np.maximum(np.where(kind == 0, 0.8 - cosine, cosine - 0.2), 0).mean())
    assert missed[1] < missed[0] / 2


def test_the_same_seed_learns_the_same_and_leaves_torch_alone(taught):
    v, t, kind = made(0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    again = PairDetector().fit(v, t, kind > 0)
    assert torch.equal(torch.rand(3), expected)
    assert again.losses_ == taught.losses_
    assert not np.array_equal(PairDetector(seed=1, epochs=2).fit(v, t, kind > 0).score(v, t), taught.score(v, t))


@given(st.permutations(range(12)))
def test_the_order_of_pairs_changes_no_score(order):
    v, t, kind = made(0)
    detector = PairDetector(epochs=1).fit(v, t, kind > 0)
    np.testing.assert_allclose(detector.score(v[order], t[order]), detector.score(v[:12], t[:12])[order], atol=1e-6)


def test_what_does_not_fit_is_refused_in_a_sentence(taught):
    v, t, kind = made(0)
    with pytest.raises(OodlibError, match="one row of each for every pair"):
        PairDetector().fit(v[1:], t, kind > 0)
    with pytest.raises(OodlibError, match="say it of each pair once"):
        PairDetector().fit(v, t, kind[1:] > 0)
    with pytest.raises(OodlibError, match="all pairs are of one kind"):
        PairDetector().fit(v, t, kind < 0)
    with pytest.raises(OodlibError, match="the weight of the match is -1"):
        PairDetector(weight=-1).fit(v, t, kind > 0)
    with pytest.raises(OodlibError, match="call fit first"):
        PairDetector().score(v, t)
    with pytest.raises(OodlibError, match="those of fit had 32"):
        taught.score(v[:, :8], t[:, :8])
    with pytest.raises(OodlibError, match="there is no reading 'cosine'"):
        taught.score(v, t, "cosine")
    with pytest.raises(OodlibError, match="not finite"):
        taught.score(v * np.nan, t)
