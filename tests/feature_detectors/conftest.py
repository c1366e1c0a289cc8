import numpy as np
import pytest

from tests.feature_detectors.activations import C, D, drawn


@pytest.fixture(scope="session")
def inside():
    """Features of 200 in-distribution rows and their classes."""
    return drawn(200)


@pytest.fixture(scope="session")
def head():
    """A head that tells those classes apart."""
    weight = np.random.default_rng(1).normal(0, 0.05, size=(C, D))
    weight[:, :12] += np.kron(np.eye(C), np.ones(3)) - 0.2
    return {"weight": weight, "bias": np.linspace(-0.1, 0.2, C)}


@pytest.fixture(scope="session")
def openood(golden):
    """Inputs of OpenOOD's post-processors; what they gave is in the file openood_features."""
    return golden("openood_msp")


@pytest.fixture(scope="session")
def openood_head(openood):
    return {"weight": openood["W"], "bias": openood["b"]}


@pytest.fixture(scope="session")
def assert_matches(golden, openood):
    """Compare scores with OpenOOD's, to 1e-4: relative, or of the scores' spread where they cross 0."""

    def check(detector, name, suffix=""):
        for part in ("id", "ood"):
            expected = golden("openood_features")[f"{name}_score_{part}{suffix}"]
            found = detector.score_samples(openood[f"{part}_x"])
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.std())

    return check
