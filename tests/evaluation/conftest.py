"""Scores of three detectors on three small sets, and their table."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.detectors.mcm import MCM
from oodlib.evaluation.scoring import score
from oodlib.evaluation.tables import tabulate


def random_features(n, seed):
    return normalize(torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.fixture(scope="module")
def concepts():
    return Concepts(names=["a", "b", "c"], text=random_features(3, 0))


@pytest.fixture(scope="module")
def sets(concepts):
    near_text = normalize(concepts.text.repeat(10, 1) + 0.8 * random_features(30, 1), dim=1)
    return {"animals": near_text, "objects": random_features(20, 2), "siblings": random_features(25, 3)}


@pytest.fixture(scope="module")
def detectors():
    return {"mcm": MCM(), "mcm-half": MCM(0.5), "energy": get_detector("energy")}


@pytest.fixture(scope="module")
def scores(concepts, detectors, sets):
    return score(concepts, detectors, sets)


@pytest.fixture(scope="module")
def kinds():
    return {"objects": "far", "siblings": "near"}


@pytest.fixture(scope="module")
def table(scores, detectors, kinds):
    setting = {"profile": "pocket", "encoder": "tiny", "tuning": "coop", "shots": 4, "run": "r1"}
    correct = np.array([True] * 24 + [False] * 6)
    return tabulate(
        scores, detectors, id_set="animals", kinds=kinds, baseline="mcm", correct=correct, n_boot=100, seed=5, **setting
    )


@pytest.fixture(scope="module")
def with_words(concepts):
    text = random_features(12, 4)
    return Concepts(concepts.names, concepts.text, [f"word {i}" for i in range(12)], text)
