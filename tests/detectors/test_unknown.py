import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors.energy import Energy
from oodlib.detectors.unknown import Unknown
from oodlib.errors import OodlibError


def directions(n, seed):
    return normalize(torch.randn(n, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_it_is_the_share_of_a_plain_softmax():
    concepts = Concepts(["a", "b"], directions(2, 0), ["unknown object", "something else"], directions(2, 1))
    images = directions(5, 2)
    logits = 100 * images @ torch.cat([concepts.text, concepts.outlier_text]).T
    expected = logits.double().softmax(1)[:, :2].sum(1)
    detector = Unknown().fit(concepts)
    np.testing.assert_allclose(detector.to_paper(detector.score_samples(images)), expected, rtol=1e-4, atol=1e-12)


def test_the_models_own_scale_is_the_default():
    concepts = Concepts(["a"], directions(1, 0), ["unknown"], directions(1, 1), logit_scale=20.0)
    images = directions(5, 2)
    torch.testing.assert_close(
        Unknown().fit(concepts).score_samples(images), Unknown(temperature=0.05).fit(concepts).score_samples(images)
    )


def test_words_that_are_equally_near_to_every_picture_rank_like_energy():
    """The weakness that the docstring tells: such words only move the cut."""
    images, text = directions(40, 3), directions(4, 4)
    images[:, -1] = text[:, -1] = 0  # the word has a direction of its own, which no picture has
    images, text = normalize(images, dim=1), normalize(text, dim=1)
    concepts = Concepts(list("abcd"), text, ["unknown object"], torch.eye(8)[-1:], logit_scale=5.0)
    scores = Unknown().fit(concepts).score_samples(images)
    assert (scores.argsort() == Energy().fit(concepts).score_samples(images).argsort()).all()


def test_names_the_missing_words():
    with pytest.raises(OodlibError, match="Unknown needs outlier labels: pass Concepts"):
        Unknown().fit(Concepts(["a"], directions(1, 0)))
