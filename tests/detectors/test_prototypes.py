import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode

from oodlib.detectors import _prototypes as prototypes
from oodlib.detectors._prototypes import (
    boundary_embeddings,
    closest,
    filter_prototypes,
    hard_prototypes,
    learn_prototypes,
)
from oodlib.errors import OodlibError


def rows(n, d=8, seed=0):
    return normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


@pytest.fixture
def official(golden):
    """The reference file as tensors, and as plain numbers where it holds one."""
    return {
        key: value.item() if value.ndim == 0 else torch.from_numpy(value)
        for key, value in golden("ole").items()
        if value.dtype.kind in "fi"
    }


def near(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_prototypes_agree_with_the_official_code(official):
    """With the mixture, too: tests/detectors/test_ole.py, in the one fit that this slow step gets."""
    found = learn_prototypes(official["outlier_text"], official["n_prototypes"], "kmeans", official["gmm_random_state"])
    near(found, official["prototypes"])


@pytest.mark.parametrize("suffix", ["", "_q2"])
def test_filter_agrees_with_the_official_code(official, suffix):
    kept, threshold = filter_prototypes(official["prototypes"], official["id_yes"], official[f"quantile{suffix}"])
    near(kept, official[f"kept_prototypes{suffix}"])
    assert threshold == pytest.approx(official[f"threshold{suffix}"], rel=1e-6)


@pytest.mark.parametrize("cluster", ["gmm", "kmeans"])
def test_boundary_agrees_with_the_official_code(official, cluster):
    found = boundary_embeddings(official["id_yes"], official["n_id_clusters"], official["n_far"], cluster)
    near(found, official["boundary"])


@pytest.mark.parametrize("suffix", ["", "_q2"])
def test_hard_prototypes_agree_with_the_official_code(official, suffix):
    found = hard_prototypes(
        official["boundary"],
        official[f"kept_prototypes{suffix}"],
        official["id_yes"],
        official[f"threshold{suffix}"],
        mix=(official["mix_low"], official["mix_high"]),
        seed=official["mix_seed"],
    )
    near(found, official[f"hard_prototypes{suffix}"])


@pytest.mark.parametrize("n", [None, 9, 500])
def test_few_labels_are_their_own_prototypes(n):
    labels = rows(9)
    assert torch.equal(learn_prototypes(labels, n), labels)


def test_prototypes_are_normalised_means_of_clusters():
    groups = torch.eye(8)[:3]
    labels = normalize(groups.repeat_interleave(5, 0) + 0.1 * rows(15), dim=1)
    found = learn_prototypes(labels, 3)
    means = normalize(labels.reshape(3, 5, 8).mean(1), dim=1)
    assert sorted(closest(found, means)[1][:, 0].tolist()) == [0, 1, 2]
    torch.testing.assert_close(closest(found, means)[0], torch.ones(3, 1))


@given(st.permutations(range(12)), st.floats(0.05, 0.95))
def test_filter_keeps_the_farthest_in_any_order(order, quantile):
    labels, classes = rows(12), rows(4, seed=1)
    kept, threshold = filter_prototypes(labels[order], classes, quantile)
    near_class = (labels @ classes.T).amax(1)
    expected = near_class[near_class < threshold].sort().values
    torch.testing.assert_close((kept @ classes.T).amax(1).sort().values, expected)
    assert len(kept) == np.ceil(11 * quantile)  # below an interpolated quantile of twelve


def test_filter_may_keep_none():
    kept, threshold = filter_prototypes(torch.eye(8)[:1], torch.eye(8)[:1])
    assert kept.shape == (0, 8)
    assert threshold == 1


@pytest.mark.parametrize(("classes", "each", "taken"), [(10, 30, 10), (1, 30, 1), (10, 4, 8), (59, 30, 30)])
def test_boundary_of_few_classes(classes, each, taken):
    found = boundary_embeddings(rows(classes), n_clusters=5, each=each)
    assert len(found) <= taken
    assert len(found.unique(dim=0)) == len(found)
    if classes < 2 * each:  # one cluster: the least typical first
        assert len(found) == taken
        typical = found @ normalize(rows(classes).mean(0), dim=0)
        assert (typical.diff() >= 0).all()


def test_boundary_classes_are_the_ones_far_from_the_centre():
    groups = torch.eye(8)[:2]
    typical = normalize(groups.repeat_interleave(4, 0) + 0.05 * rows(8), dim=1)
    odd = normalize(groups + 0.6 * torch.eye(8)[[5, 6]], dim=1)
    found = boundary_embeddings(torch.cat([typical, odd]), n_clusters=2, each=1)
    assert sorted(closest(found, odd)[1][:, 0].tolist()) == [0, 1]
    torch.testing.assert_close(closest(found, odd)[0], torch.ones(2, 1))


@given(st.integers(0, 1000), st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).map(tuple))
def test_mixtures_lie_between_a_class_and_its_nearest_prototype(seed, mix):
    classes, kept = rows(6), rows(5, seed=1)
    found = hard_prototypes(classes, kept, classes, threshold=2.0, mix=mix, seed=seed)
    draw = random.Random(seed)
    for h, b in zip(found, classes, strict=True):
        f, o = draw.uniform(*mix), kept[(kept @ b).argmax()]
        torch.testing.assert_close(h, normalize(f * b + (1 - f) * o, dim=0))


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_stricter_limit_keeps_no_more_mixtures(a, b):
    classes, kept = rows(6), rows(5, seed=1)
    few, many = (hard_prototypes(classes, kept, classes, threshold=t) for t in sorted((a, b)))
    assert len(few) <= len(many)
    assert not len(few) or (closest(few, many)[0] > 1 - 1e-6).all()
    assert ((few @ classes.T).amax(1) < min(a, b)).all()


@pytest.mark.parametrize("top", [1, 3])
def test_closest_holds_no_large_matrix(monkeypatch, top):
    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            sizes.extend(t.numel() for t in (result if isinstance(result, tuple) else [result]) if torch.is_tensor(t))
            return result

    a, b = rows(300, d=4), rows(70, d=4, seed=1)
    expected = closest(a, b, top)
    monkeypatch.setattr(prototypes, "_CELLS", 1000)
    with Sizes():
        found = closest(a, b, top)
    torch.testing.assert_close(found, expected)
    assert max(sizes) <= 300 * 4  # the rows themselves; all cosines would be 21,000


def test_says_what_is_wrong():
    labels = rows(9)
    with pytest.raises(OodlibError, match="0 prototypes: learn at least one, or pass None"):
        learn_prototypes(labels, 0)
    for n in (3, None):
        with pytest.raises(OodlibError, match="cluster='ward': choose kmeans or gmm"):
            learn_prototypes(labels, n, cluster="ward")
    for quantile in (0.0, 1.1, float("nan")):
        with pytest.raises(OodlibError, match="above 0 and at most 1"):
            filter_prototypes(labels, labels, quantile)
    with pytest.raises(OodlibError, match="n_clusters=5, each=0: take at least one class"):
        boundary_embeddings(labels, each=0)
    for mix in ((0.5, 0.0), (-0.1, 0.5), (0.0, 1.5)):
        with pytest.raises(OodlibError, match="the share of the class lies in a range within 0 to 1"):
            hard_prototypes(labels, labels, labels, 0.5, mix=mix)
    with pytest.raises(OodlibError, match="there is no outlier prototype to mix with"):
        hard_prototypes(labels, labels[:0], labels, 0.5)


def test_detectors_that_differ_behind_the_clustering_share_it(monkeypatch):
    outlier_text, fitted = rows(60, seed=3), []
    fit = KMeans.fit
    monkeypatch.setattr(KMeans, "fit", lambda self, matrix: fitted.append(len(matrix)) or fit(self, matrix))
    first = learn_prototypes(outlier_text, 7, seed=5)
    assert torch.equal(learn_prototypes(outlier_text.clone(), 7, seed=5), first)
    assert fitted == [60]
    for other in ((outlier_text[:59], 7, 5), (outlier_text, 6, 5), (outlier_text, 7, 6)):
        learn_prototypes(other[0], other[1], seed=other[2])
    assert len(fitted) == 4


def test_of_many_labels_a_sample_finds_the_clusters_and_all_of_them_the_centres(monkeypatch):
    centres = torch.eye(8)[:4]
    noise = 0.1 * torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
    labels, fitted = normalize(centres.repeat(100, 1) + noise, dim=1), []
    fit = KMeans.fit
    monkeypatch.setattr(KMeans, "fit", lambda self, matrix: fitted.append(len(matrix)) or fit(self, matrix))
    whole = learn_prototypes(labels, 4)
    monkeypatch.setattr(prototypes, "_MANY", 300)
    monkeypatch.setattr(prototypes, "_SAMPLE", 50)
    prototypes._centres.cache_clear()
    found = learn_prototypes(labels, 4)
    assert fitted == [400, 50, 400]
    order = (whole @ found.T).argmax(dim=1)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    near(found[order], whole)
    assert len(learn_prototypes(labels, 60)) == 60  # more clusters than the sample would have rows
