import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors.ada_neg import AdaNeg, ProxyMemory
from oodlib.detectors.neg_label import NegLabel
from oodlib.errors import OodlibError


def features(n, seed, width=12):
    return normalize(torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).double(), dim=1)


@pytest.fixture(scope="module")
def concepts():
    names = [f"word {i}" for i in range(40)]
    return Concepts([f"class {i}" for i in range(4)], features(4, 1), names, features(40, 2))


@pytest.fixture(scope="module")
def stream(concepts):
    """Pictures near classes and near labels, mixed."""
    text = torch.cat([concepts.text, concepts.outlier_text[:6]]).double()
    images = normalize(text.repeat(12, 1) + 0.6 * features(120, 3), dim=1)
    return images[torch.randperm(120, generator=torch.Generator().manual_seed(0))]


def slowly(detector, stream):
    """AdaNeg from its description, one picture and one label at a time."""
    text = [*detector.text_.double().numpy(), *detector.outlier_text_.double().numpy()]
    classes, tau = len(detector.text_), detector.temperature
    groups = [[classes + row for row in group] for group in detector.group_rows_.tolist()]
    slots = [[(0.0, feature)] for feature in text]  # the text stands first and its entropy is never the largest

    def grouped(image, labels):
        e = [math.exp(image @ label / tau) for label in labels]
        inside = sum(e[:classes])
        return sum(inside / (inside + sum(e[k] for k in group)) for group in groups) / len(groups)

    def entropy(image, labels):
        e = np.array([math.exp(image @ label / tau) for label in labels])
        p = e / e.sum()
        return float(-(p * np.log(p)).sum()), int(e.argmax())

    scores = []
    for start in range(0, len(stream), detector.batch_size):
        batch = stream[start : start + detector.batch_size].numpy()
        plain = [grouped(image, text) for image in batch]
        for image, s0 in zip(batch, plain, strict=True):
            if s0 > detector.middle + detector.gap * (1 - detector.middle):
                uncertainty, label = entropy(image, text[:classes])
            elif s0 < detector.middle - detector.gap * detector.middle:
                uncertainty, label = entropy(image, text[classes:])
                label += classes
            else:
                continue
            slot = slots[label]
            if len(slot) < detector.slots:
                slot.append((uncertainty, image))
            else:
                worst = max(range(1, len(slot)), key=lambda i, slot=slot: slot[i][0])
                if uncertainty < slot[worst][0]:
                    slot[worst] = (uncertainty, image)
        means = [np.mean([feature for _, feature in slot], axis=0) for slot in slots]
        proxies = [mean / np.linalg.norm(mean) for mean in means]
        scores += [grouped(i, proxies) + detector.weight * s0 for i, s0 in zip(batch, plain, strict=True)]
    return scores


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"keep": 0.5, "slots": 3, "batch_size": 16},
        {"keep": 1.0, "slots": 2, "batch_size": 1, "middle": 0.6, "gap": 0.1, "weight": 0.5},
        {"keep": 0.3, "groups": 2, "temperature": 0.1, "slots": 4, "batch_size": 50, "gap": 0.2},
    ],
)
def test_agrees_with_the_description(concepts, stream, parameters):
    detector = AdaNeg(**parameters).fit(concepts)
    found = detector.score_samples(stream)
    np.testing.assert_allclose(detector.to_paper(found), slowly(detector, stream), rtol=1e-8)
    torch.testing.assert_close(detector.score_samples(stream), found)  # the memory begins empty


def test_where_nothing_is_clear_enough_it_is_neg_label(concepts, stream):
    parameters = {"keep": 0.5, "groups": 5, "temperature": 0.05}
    plain = NegLabel(**parameters).fit(concepts).score_samples(stream)
    found = AdaNeg(**parameters, gap=1.0, weight=0.25).fit(concepts).score_samples(stream)
    torch.testing.assert_close(found, plain)  # of S, 1.25 times as much


def test_the_stream_matters(concepts, stream):
    detector = AdaNeg(keep=0.5, batch_size=8).fit(concepts)
    backwards = detector.score_samples(stream.flip(0)).flip(0)
    assert not torch.allclose(backwards, detector.score_samples(stream))


def test_a_full_label_keeps_the_most_certain_pictures():
    text, pictures = features(2, 4), features(4, 5)
    memory = ProxyMemory(text, pictures=2)
    for log_entropy, picture in zip([-0.7, -0.1, -0.1, -2.3], pictures, strict=True):
        memory.add(1, log_entropy, picture)
    expected = torch.stack([text[0], normalize(text[1] + pictures[0] + pictures[3], dim=0)])
    torch.testing.assert_close(memory.proxies(), expected)


def test_says_what_is_wrong(concepts):
    with pytest.raises(OodlibError, match="middle and gap must lie between 0 and 1"):
        AdaNeg(gap=2.0).fit(concepts)
    with pytest.raises(OodlibError, match="slots must be at least 2"):
        AdaNeg(slots=1).fit(concepts)
    with pytest.raises(OodlibError, match="the weight of NegLabel's own score must be 0 or more"):
        AdaNeg(weight=-0.1).fit(concepts)
