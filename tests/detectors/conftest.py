import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts


@pytest.fixture
def golden_concepts():
    """Turn raw text features of a reference file into concepts, as the official code normalises them."""

    def build(raw, logit_scale=100.0):
        text = normalize(torch.from_numpy(raw), dim=-1)
        return Concepts(names=[f"class {i}" for i in range(len(text))], text=text, logit_scale=logit_scale)

    return build


@pytest.fixture
def assert_matches():
    """Compare what a detector gives, on the paper's scale, with stored scores of ID and OOD pictures, to 1e-5."""

    def check(detector, images, expected):
        for raw, scores in zip(images, expected, strict=True):
            found = detector.to_paper(detector.score_samples(normalize(torch.from_numpy(raw), dim=-1)))
            assert found.dtype == torch.float32
            np.testing.assert_allclose(found.numpy(), scores, rtol=1e-5, atol=1e-6 * np.abs(scores).mean())

    return check
