import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.errors import OodlibError
from oodlib.evaluation.angles import compactness, dispersion


def test_they_are_those_of_the_released_code(golden):
    g = golden("maha_lm")
    of = g["pooled_train"], g["train_label"]
    assert dispersion(*of) == pytest.approx(float(g["dispersion_deg"]), abs=1e-3)
    assert compactness(*of) == pytest.approx(float(g["compactness_deg"]), abs=1e-3)


@given(st.floats(0.01, 100), st.permutations(range(12)))
def test_neither_scale_nor_order_counts(scale, order):
    features = np.random.default_rng(2).normal(size=(12, 4))
    labels = np.repeat(["a", "b", "c"], 4)
    for angle in (dispersion, compactness):
        assert angle(scale * features[list(order)], labels[list(order)]) == pytest.approx(angle(features, labels))


def test_one_class_has_no_dispersion():
    with pytest.raises(OodlibError, match="one class"):
        dispersion(np.eye(3), ["a"] * 3)
    with pytest.raises(OodlibError, match="one row for each"):
        compactness(np.eye(3), ["a"])
