import json

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.errors import OodlibError
from oodlib.evaluation.scoring import score
from oodlib.evaluation.tables import tabulate
from oodlib.feature_detectors import get_feature_detector, list_feature_detectors, on_concepts

C, D = 4, 16
SETTINGS = {
    **{name: {"negative": "clip"} for name in ("ash", "react", "scale")},
    "knn": {"n_neighbors": 10},  # fewer than the shots of a class
    "weiper_kld": {"repeats": 10},
}


def noisy(text, n, seed, noise=0.1):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % len(text)
    return normalize(text[labels] + noise * torch.randn(n, D, generator=generator), dim=1), labels


@pytest.fixture(scope="module")
def world():
    """Concepts with 20 shots a class, and pictures of them and of four other things."""
    everything = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(0))).Q
    text, others = everything[:C], everything[C : 2 * C]
    shots, labels = noisy(text, 20 * C, seed=1)
    concepts = Concepts([f"class {i}" for i in range(C)], text, shots=shots, shot_labels=labels, logit_scale=20.0)
    return concepts, {"inside": noisy(text, 40, seed=2)[0], "outside": noisy(others, 40, seed=3)[0]}


@pytest.mark.parametrize("name", list_feature_detectors())
def test_every_method_works_in_an_evaluation(name, world):
    concepts, sets = world
    detectors = {name: on_concepts(name, **SETTINGS.get(name, {}))}
    scores = score(concepts, detectors, sets)
    table = tabulate(scores, detectors, id_set="inside", kinds={"outside": "far"}, n_boot=10)
    assert json.loads(table["parameters"][0])["name"] == name
    auroc = table.loc[table["metric"] == "auroc", "value"].item()
    assert auroc > (0.6 if name == "weiper_kld" else 0.9)


def test_shots_labels_and_text_become_rows_classes_and_a_head(world):
    concepts, sets = world
    shots, labels = concepts.shots.numpy(), concepts.shot_labels.numpy()
    plain = get_feature_detector("mahalanobis", shrinkage=0.5).fit(shots, labels)
    found = on_concepts("mahalanobis", shrinkage=0.5).fit(concepts).score_samples(sets["inside"])
    np.testing.assert_allclose(found, plain.score_samples(sets["inside"].numpy()), rtol=1e-6)
    with_head = get_feature_detector("vim", weight=20 * concepts.text.numpy(), bias=np.zeros(C)).fit(shots)
    found = on_concepts("vim").fit(concepts).score_samples(sets["outside"])
    np.testing.assert_allclose(found, with_head.score_samples(sets["outside"].numpy()), rtol=1e-5)


def test_keeps_the_contract_of_a_detector(world):
    concepts, sets = world
    detector = on_concepts("knn", n_neighbors=3)
    assert repr(clone(detector)) == repr(detector) == "OnConcepts(name='knn', parameters={'n_neighbors': 3})"
    scores = detector.fit(concepts).score_samples(sets["inside"].double())
    assert scores.dtype == torch.float64
    detector.threshold_ = float(scores.median())
    assert set(detector.predict(sets["inside"]).tolist()) == {1, -1}


def test_says_what_is_missing(world):
    concepts, _ = world
    with pytest.raises(OodlibError, match=r"knn needs labelled pictures: .*shots=.*shot_labels="):
        on_concepts("knn").fit(Concepts(concepts.names, concepts.text))
    with pytest.raises(OodlibError, match="unknown feature detector 'kn'"):
        on_concepts("kn")
    with pytest.raises(OodlibError, match="ASH is made for activations behind a ReLU"):
        on_concepts("ash").fit(concepts)
    matched = Concepts(
        concepts.names, concepts.text, shots=concepts.shots, shot_labels=concepts.shot_labels, match=lambda f: f[:, :C]
    )
    with pytest.raises(OodlibError, match=r"gen needs a linear head: .*without match="):
        on_concepts("gen").fit(matched)
