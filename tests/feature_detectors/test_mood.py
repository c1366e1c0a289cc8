"""MOOD's Mahalanobis distances and MOODv2's nine scores, against what their released code gives."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import normalize
from torch.nn import functional as F

from oodlib.errors import OodlibError
from oodlib.evaluation import ood_metrics
from oodlib.feature_detectors import ClassMahalanobis, GradNorm, KLMatching, Mahalanobis, ReAct, mood_v2
from tests.feature_detectors.activations import drawn

PARTS = ("id", "ood")
NAMES = {"max_logit": "maxlogit", "grad_norm": "gradnorm", "mahalanobis": "maha"}


def close(found, expected, tolerance=1e-5):
    """To a relative 1e-5, or of the scores' spread where they cross 0."""
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.std(expected))


@pytest.mark.parametrize(
    ("name", "detector", "labelled"),
    [
        ("global", Mahalanobis(0.0), False),
        ("cc", ClassMahalanobis(), True),
        ("avgcc", ClassMahalanobis("mean"), True),
    ],
)
def test_first_version_agrees(golden, name, detector, labelled):
    g = golden("mood")
    detector.fit(normalize(np.float64(g["feature_train"])), g["label_train"] if labelled else None)
    found = {part: detector.score_samples(normalize(np.float64(g[f"feature_{part}"]))) for part in PARTS}
    for part in PARTS:
        close(found[part], g[f"score_{name}_{part}"])
    metrics = ood_metrics(found["id"], found["ood"])
    assert metrics["auroc"] == pytest.approx(float(g[f"auroc_{name}"]), abs=1e-6)
    cut = np.percentile(-found["id"], 95)
    assert (-found["ood"] < cut).mean() == pytest.approx(float(g[f"fpr95_{name}"]), abs=1e-6)


@pytest.fixture(scope="module")
def nine(golden):
    """The nine scores of the golden file's features, with our detectors."""
    g = golden("moodv2")
    found = {}
    for name, detector in mood_v2(g["W"], g["b"]).items():
        detector.fit(g["feature_train"], g["label_train"])
        found[name] = {part: detector.score_samples(g[f"feature_{part}"]) for part in PARTS}
    return found


def test_second_version_has_its_nine_scores(golden, nine):
    assert {NAMES.get(name, name) for name in nine} == set(golden("moodv2")["metric_names"].tolist())


@pytest.mark.parametrize(
    "name",
    ["msp", "max_logit", "energy", "react", "vim", "residual", "grad_norm", "mahalanobis", "kl_matching"],
)
def test_second_version_agrees(golden, nine, name):
    g, theirs = golden("moodv2"), NAMES.get(name, name)
    for part in PARTS:
        found = nine[name][part]
        if name == "msp":  # log-odds here
            found = 1 / (1 + np.exp(-found))
        close(found, g[f"score_{theirs}_{part}"])
    place = g["metric_names"].tolist().index(theirs)
    metrics = ood_metrics(nine[name]["id"], nine[name]["ood"])
    assert metrics["auroc"] == pytest.approx(float(g["auroc"][place]), abs=1e-4)
    cut = np.sort(nine[name]["id"])[::-1][int(0.95 * len(nine[name]["id"])) - 1]
    assert (nine[name]["ood"] >= cut).mean() == pytest.approx(float(g["fpr95"][place]), abs=1e-6)


@pytest.mark.parametrize(("classes", "columns", "dim"), [(10, 48, 24), (5, 768, 512), (30, 2048, 30)])
def test_the_principal_space_has_their_dimensions(classes, columns, dim):
    detectors = mood_v2(np.ones((classes, columns)), np.zeros(classes))
    assert detectors["vim"].dim == detectors["residual"].dim == dim
    few = mood_v2(np.ones((classes, columns)), np.zeros(classes), rows=20)
    assert few["vim"].dim == few["residual"].dim == 10


def test_grad_norm_is_the_norm_of_a_gradient(head):
    rows = drawn(5, seed=1)[0]
    for row, found in zip(rows, GradNorm(**head).fit(drawn(20)[0]).score_samples(rows), strict=True):
        weight = torch.tensor(head["weight"], requires_grad=True)
        logits = weight @ torch.tensor(row) + torch.tensor(head["bias"])
        (-F.log_softmax(logits, dim=0).sum()).backward()
        assert found == pytest.approx(float(weight.grad.abs().sum()), rel=1e-9)


def test_kl_matching_knows_only_classes_that_rows_are_taken_for(inside, head):
    far = {"weight": head["weight"], "bias": head["bias"] - np.array([0, 0, 0, 1e4])}
    detector = KLMatching(**far).fit(*inside)
    assert len(detector.log_templates_) == 3
    assert np.isfinite(detector.score_samples(drawn(20, seed=1)[0])).all()


def test_kl_matching_of_a_template_is_zero(inside, head):
    row = inside[0][:1]
    detector = KLMatching(**head).fit(np.repeat(row, 2, axis=0))
    assert detector.score_samples(row)[0] == pytest.approx(0, abs=1e-12)
    assert (detector.score_samples(inside[0]) <= 1e-12).all()


def test_react_keeps_negative_entries_where_it_is_told_to(head):
    rows = drawn(50)[0] - 0.5
    assert (rows < 0).any()
    detector = ReAct(0.9, "keep", **head).fit(rows)
    cut = np.quantile(rows, 0.9)
    logits = np.minimum(rows, cut) @ head["weight"].T + head["bias"]
    np.testing.assert_allclose(detector.score_samples(rows), np.log(np.exp(logits).sum(axis=1)))


@pytest.mark.parametrize("combine", ["nearest", "mean"])
def test_one_class_is_one_mean(inside, combine):
    rows = drawn(20, seed=1)[0]
    found = ClassMahalanobis(combine).fit(inside[0]).score_samples(rows)
    np.testing.assert_allclose(found, Mahalanobis(0.0).fit(inside[0]).score_samples(rows))


def test_labels_may_have_gaps_and_be_strings(inside):
    features, labels = inside
    found = [
        ClassMahalanobis().fit(features, y).score_samples(features) for y in (labels, 7 * labels, labels.astype(str))
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_class_of_one_row_is_refused(inside):
    with pytest.raises(OodlibError, match=r"a class has one row, .*: pass more rows of every class"):
        ClassMahalanobis().fit(inside[0][:5], [0, 0, 1, 1, 2])
    with pytest.raises(OodlibError, match="or equal rows only"):
        ClassMahalanobis().fit(
            np.concatenate([inside[0][:5], np.full((3, inside[0].shape[1]), 0.1)]), [0] * 5 + [1] * 3
        )


def test_a_choice_that_is_none_is_refused(inside):
    with pytest.raises(OodlibError, match="combine is 'min': choose from 'nearest', 'mean'"):
        ClassMahalanobis("min").fit(*inside)
