import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.errors import OodlibError
from oodlib.evaluation.laid import Halves, explained


def made_up(noise=0.05, names=30, manners=5, seed=0):
    """Texts whose names and manners lie in two planes that a rotation hides."""
    drawn = torch.Generator().manual_seed(seed)
    a, b = torch.randn(names, 1, 8, generator=drawn), torch.randn(1, manners, 8, generator=drawn)
    both = torch.cat([a.expand(-1, manners, -1), b.expand(names, -1, -1)], dim=2)
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=drawn)).Q
    noisy = both + noise * torch.randn(both.shape, generator=drawn)
    return normalize(noisy @ rotation, dim=2)


WAYS = {"closed": Halves.closed_form, "learned": Halves.learn}


@pytest.fixture(params=WAYS, scope="module")
def halves(request):
    return WAYS[request.param](made_up())


def test_map_is_orthogonal(halves):
    torch.testing.assert_close(halves.weight @ halves.weight.T, torch.eye(16), atol=1e-4, rtol=0)


def test_each_half_holds_its_own(halves):
    text = made_up(seed=0)
    names, manners = explained(halves.semantic(text))
    assert names > 0.9 > 0.1 > manners
    names, manners = explained(halves.covariate(text))
    assert manners > 0.9 > 0.1 > names


def test_shifts_grow_with_the_distance(halves):
    text = made_up()
    inside = text[:10, 0]
    semantic, covariate = halves.shifts(text[:10, 3], text[:10, 1], inside)
    other_semantic, other_covariate = halves.shifts(text[20:, 0], text[:10, 1], inside)
    assert semantic.max() < other_semantic.min()
    assert covariate.min() > other_covariate.max()


def test_learning_is_repeatable_and_lowers_the_loss():
    text = made_up(noise=0.3)
    first, second = (Halves.learn(text, steps=20, random_state=4).weight for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    shares = [explained(Halves.learn(text, steps=steps).semantic(text))[1] for steps in (0, 200)]
    assert shares[1] < 0.5 * shares[0]


def test_explained_shares_are_those_of_a_plain_sum():
    half = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(0)).double().numpy()
    mean = half.mean((0, 1))
    total = sum(np.sum((half[s, c] - mean) ** 2) for s in range(6) for c in range(4))
    rows = sum(4 * np.sum((half[s].mean(0) - mean) ** 2) for s in range(6))
    columns = sum(6 * np.sum((half[:, c].mean(0) - mean) ** 2) for c in range(4))
    assert explained(torch.from_numpy(half)) == pytest.approx((rows / total, columns / total))
    assert explained(torch.ones(2, 2, 2)) == (0, 0)


@pytest.mark.parametrize("shape", [(4, 8), (1, 3, 8), (3, 1, 8)])
def test_shapes(shape):
    for way in WAYS.values():
        with pytest.raises(OodlibError, match="names, manners"):
            way(torch.ones(shape))
