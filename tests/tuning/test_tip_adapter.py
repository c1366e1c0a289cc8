import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.errors import OodlibError
from oodlib.tuning import Shots, tune
from oodlib.tuning.base import Session
from oodlib.tuning.tip_adapter import TipAdapter, cache_keys
from oodlib.tuning.tip_adapter_f import TipAdapterF


@pytest.fixture
def official(golden):
    """Inputs of the authors' code; their features are not normalised where the cache averages them."""
    g = {name: torch.from_numpy(value) for name, value in golden("tip_adapter").items() if value.dtype.kind in "fi"}
    names = [f"class {i}" for i in range(40)]
    return g, Concepts(names, normalize(g["clip_weights"].T, dim=-1), logit_scale=100.0)


def logits(tuned, features):
    return 100 * get_detector("mcm").fit(tuned.concepts).cosines(features)


def test_agrees_with_the_official_code(official):
    g, concepts = official
    keys = cache_keys(g["train_feat_raw"])
    np.testing.assert_allclose(keys.T, g["cache_keys"], rtol=1e-5, atol=1e-6)
    tuned = TipAdapter(float(g["alpha"]), float(g["beta"])).with_keys(concepts, keys, g["train_label"], ())
    np.testing.assert_allclose(logits(tuned, g["test_features"]), g["tip_logits"], rtol=1e-5, atol=1e-5)


def test_its_training_agrees_with_the_official_code(official):
    g, concepts = official
    shots = Shots(normalize(g["train_feat_raw"][:1], dim=-1), g["train_label"])
    order = [rows for epoch in g["f_batch_order"] for rows in epoch.split(int(g["f_batch_size"]))]
    tuner = TipAdapterF(float(g["alpha"]), float(g["beta"]), lr=float(g["f_lr"]))
    start = cache_keys(g["train_feat_raw"])
    keys, losses = tuner.train_keys(start, concepts, shots, order, Session(seed=0))
    assert len(losses) == len(order)
    assert (keys - start).abs().max() > 1e-3
    found = logits(tuner.with_keys(concepts, keys, shots.labels, losses), g["test_features"])
    np.testing.assert_allclose(found, g["f_logits_last_epoch"], rtol=1e-5, atol=2e-5)


def test_without_weight_it_is_zero_shot(no_encoder, concepts, shots, test_pictures):
    tuned = tune("tip_adapter", no_encoder, concepts, shots, alpha=0.0)
    zero = get_detector("mcm").fit(concepts).score_samples(test_pictures[0])
    torch.testing.assert_close(get_detector("mcm").fit(tuned.concepts).score_samples(test_pictures[0]), zero)


def test_the_order_of_the_shots_does_not_matter(no_encoder, concepts, shots, test_pictures):
    order = torch.randperm(len(shots), generator=torch.Generator().manual_seed(0))
    other = Shots(shots.features[:, order], shots.labels[order])
    first, second = (tune("tip_adapter", no_encoder, concepts, given).concepts for given in (shots, other))
    torch.testing.assert_close(first.match(test_pictures[0]), second.match(test_pictures[0]))


def test_a_sharpness_below_zero_is_refused(no_encoder, concepts, shots):
    with pytest.raises(OodlibError, match="beta must be at least 0"):
        tune("tip_adapter", no_encoder, concepts, shots, beta=-1.0)
