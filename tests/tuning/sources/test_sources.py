"""What every source of outliers must do, and the two that need no reference."""

import pytest
import torch
from sklearn.base import clone

from oodlib.errors import OodlibError
from oodlib.tuning.sources import Known, get_source, list_sources
from oodlib.tuning.sources.given import Given
from oodlib.tuning.sources.np_mix import NPMix

EVERY = {
    "given": {"features": torch.eye(16)},
    "np_mix": {},
    "npos": {"draws": 50},
    "vos": {},
    "words": {},
}
every = pytest.mark.parametrize("name", EVERY)


def test_sources_are_found_by_their_names():
    assert list_sources() == sorted(EVERY)
    with pytest.raises(OodlibError, match="unknown source of outliers 'vo'"):
        get_source("vo")
    with pytest.raises(OodlibError, match="vos has no parameter 'samples': did you mean 'sample'"):
        get_source("vos", samples=3)


@every
def test_the_same_seed_makes_the_same_outliers(name, queues):
    source = get_source(name, **EVERY[name])
    first, second, other = (clone(source).bank(queues, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert first.shape[1] == 16
    assert 1 <= len(first) <= 5 * 3


@every
def test_labels_may_have_gaps(name, queues):
    gaps = Known(queues.features, 10 * queues.labels + 7, queues.outlier_text)
    assert torch.equal(get_source(name, **EVERY[name]).bank(gaps, 2), get_source(name, **EVERY[name]).bank(queues, 2))


@every
def test_fewer_pictures_than_dimensions_are_enough(name, queues):
    few = Known(queues.features[:10], queues.labels[:10], queues.outlier_text)  # two of each class
    assert get_source(name, **EVERY[name]).bank(few, 2).isfinite().all()


@every
def test_one_class_gives_outliers_or_one_sentence(name, queues):
    alone = Known(queues.features[queues.labels == 1], torch.ones(8).long(), queues.outlier_text)
    source = get_source(name, **EVERY[name])
    if name == "np_mix":
        with pytest.raises(OodlibError, match="NP-Mix cannot start: it mixes two classes"):
            source.bank(alone, 2)
    else:
        assert len(source.bank(alone, 2))


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_rows_that_are_nowhere_are_refused(bad, queues):
    features = queues.features.clone()
    features[3] = bad
    with pytest.raises(OodlibError, match="zero or not finite in 1 rows, the first is row 3: leave those rows out"):
        Known(features, queues.labels)
    with pytest.raises(OodlibError, match="the outliers that are given are zero or not finite"):
        Given(features).bank(queues, 1)


def test_labels_must_fit(queues):
    with pytest.raises(OodlibError, match=r"features of shape \(N, D\) and one label each"):
        Known(queues.features, queues.labels[1:])
    with pytest.raises(OodlibError, match="make at least 1"):
        NPMix().bank(queues, 0)


def test_a_queue_holds_the_last_features_of_a_class(queues):
    short, whole = queues.queues(3), queues.queues(1000)
    assert [len(queue) for queue in short] == [3] * 5
    assert [len(queue) for queue in whole] == [8] * 5
    assert all(torch.equal(few, queue[-3:]) for few, queue in zip(short, whole, strict=True))
    with pytest.raises(OodlibError, match="a queue of 0 features holds nothing"):
        queues.queues(0)


@pytest.mark.parametrize("nearest", [2, 3, None])
def test_a_mixture_lies_between_two_near_classes(nearest):
    line = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0], [1.0, 7.0]])
    made = NPMix(nearest=nearest).bank(Known(line, torch.arange(4)), 50)
    ends = {2: 5.9, 3: 5.9, None: 7.0}[nearest]  # the last class is near none but those beside it
    assert made[:, 1].min() > 0
    assert made[:, 1].max() < ends
    assert torch.allclose(made[:, 0], torch.ones(200))


def test_given_outliers_are_taken_each_once(queues):
    made = Given(torch.eye(16)).bank(queues, 100)
    assert torch.equal(made.sum(dim=0), torch.ones(16))
    with pytest.raises(OodlibError, match="there are no outliers: pass Given"):
        Given().bank(queues, 1)
