from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn.functional import normalize

from oodlib.concepts import Concepts
from oodlib.detectors import base
from oodlib.detectors.clipn_atd import ClipnATD
from oodlib.detectors.ole import OLE
from oodlib.errors import OodlibError

D = 12
cosines = arrays(np.float64, (1, 12), elements=st.floats(-1, 1)).map(torch.from_numpy)


def rows(n, seed):
    return normalize(torch.randn(n, D, generator=torch.Generator().manual_seed(seed)), dim=1)


def concepts(order=range(40), classes=10, no=True):
    order = list(order)
    return Concepts(
        names=[f"class {i}" for i in range(classes)],
        text=rows(classes, seed=0),
        outlier_names=[f"word {i}" for i in order],
        outlier_text=rows(40, seed=1)[order],
        no_text=rows(classes, seed=2) if no else None,
    )


@pytest.fixture
def official(golden):
    g = golden("ole")
    return Concepts(
        names=[f"class {i}" for i in range(len(g["id_yes"]))],
        text=g["id_yes"],
        outlier_names=[f"word {i}" for i in range(len(g["outlier_text"]))],
        outlier_text=g["outlier_text"],
        no_text=g["id_no"],
    )


@pytest.mark.parametrize("cluster", ["gmm", "kmeans"])
def test_agrees_with_the_official_code(golden, official, cluster):
    g = golden("ole")

    def check(detector, suffix):
        assert detector.prototype_threshold_ == pytest.approx(g[f"threshold{suffix}"].item(), rel=1e-6)
        for name in ("kept", "hard"):
            found = getattr(detector, f"{name}_")
            np.testing.assert_allclose(found, g[f"{name}_prototypes{suffix}"], rtol=1e-4, atol=1e-5)
        for part in ("", "_pyes1"):
            for images in ("id", "ood"):
                found = detector.to_paper(detector.score_samples(g[f"image_{images}"]))
                np.testing.assert_allclose(found, g[f"score{suffix}{part}_{images}"], rtol=1e-4)
            detector.no_text_ = None  # what use_no=False leaves, without another fit

    detector = OLE(n_prototypes=40, quantile=g["quantile"].item(), cluster=cluster).fit(official)
    np.testing.assert_allclose(detector.prototypes_, g["prototypes"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(detector.bank_, g["outlier_bank"], rtol=1e-4, atol=1e-5)
    check(detector, "")
    # The second quantile has the same prototypes, and the mixture takes seconds: start from them.
    names = [f"prototype {i}" for i in range(40)]
    learned = replace(official, outlier_names=names, outlier_text=detector.prototypes_)
    check(OLE(n_prototypes=40, quantile=g["quantile_q2"].item(), cluster=cluster).fit(learned), "_q2")


def test_plain_concepts_score_as_if_there_were_no_tower():
    images = rows(9, seed=3)
    found = OLE().fit(concepts(no=False)).score_samples(images)
    torch.testing.assert_close(found, OLE(use_no=False).fit(concepts()).score_samples(images))
    assert not torch.allclose(found, OLE().fit(concepts()).score_samples(images))


def test_each_part_can_be_left_out():
    full = OLE(n_prototypes=20, quantile=0.5).fit(concepts())
    assert (len(full.prototypes_), len(full.kept_)) == (20, 10)
    assert len(full.hard_)
    no_hard = OLE(n_prototypes=20, quantile=0.5, hard=False).fit(concepts())
    torch.testing.assert_close(no_hard.bank_, full.kept_)
    unfiltered = OLE(n_prototypes=20, quantile=0.5, filtered=False).fit(concepts())
    torch.testing.assert_close(unfiltered.kept_, full.prototypes_)
    assert unfiltered.prototype_threshold_ == pytest.approx(full.prototype_threshold_)
    raw = OLE(n_prototypes=None, filtered=False, hard=False).fit(concepts())
    assert torch.equal(raw.bank_, concepts().outlier_text)


@pytest.mark.parametrize("classes", [1, 2, 10, 70])
def test_small_sets_of_classes_work(classes):
    detector = OLE(n_prototypes=20, quantile=0.5).fit(concepts(classes=classes))
    assert detector.score_samples(rows(5, seed=3)).isfinite().all()
    assert (detector.bank_ @ detector.text_.T).max() < detector.prototype_threshold_


def test_kept_prototypes_are_explained_by_their_nearest_words():
    detector = OLE(n_prototypes=None).fit(concepts())
    assert len(detector.kept_words_) == len(detector.kept_) == 4
    for prototype, words in zip(detector.kept_, detector.kept_words_, strict=True):
        cosines = dict(zip(concepts().outlier_names, concepts().outlier_text @ prototype, strict=True))
        assert list(words) == sorted(cosines, key=cosines.get, reverse=True)[:5]


@given(st.permutations(range(40)), st.booleans())
def test_the_order_of_labels_does_not_matter_without_clustering(order, filtered):
    detector = OLE(n_prototypes=None, quantile=0.4, filtered=filtered)
    images = rows(6, seed=3)
    expected = detector.fit(concepts()).score_samples(images)
    torch.testing.assert_close(detector.fit(concepts(order)).score_samples(images), expected)


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_bank_does_not_matter(shuffler):
    detector, images = OLE(n_prototypes=20, quantile=0.5).fit(concepts()), rows(6, seed=3)
    expected = detector.score_samples(images)
    order = list(range(len(detector.bank_)))
    shuffler.shuffle(order)
    detector.bank_ = detector.bank_[order]
    torch.testing.assert_close(detector.score_samples(images), expected)


def of_free_cosines(no=True):
    """A detector whose classes, outliers and "no" features are the axes: a row holds 4 cosines with each."""
    axes = torch.eye(12)
    words = [f"word {i}" for i in range(4)]
    known = Concepts(list("abcd"), axes[:4], words, axes[4:8], no_text=axes[8:] if no else None)
    return OLE(n_prototypes=None, filtered=False, hard=False, temperature=0.05).fit(known)


@given(cosines, st.integers(0, 3), st.floats(0, 0.5))
def test_monotone_in_every_cosine(row, column, rise):
    def rises(*columns, no):
        raised = row.clone()
        raised[:, list(columns)] += rise
        detector = of_free_cosines(no)
        return (detector.score_block(raised) - detector.score_block(row)).item()

    assert rises(column, no=False) >= -1e-12
    assert rises(0, 1, 2, 3, no=True) >= -1e-12  # one alone may win over a class that "no" refuses less
    for no in (False, True):
        assert rises(4 + column, no=no) <= 1e-12
    assert rises(8 + column, no=True) <= 1e-12
    assert rises(8 + column, no=False) == 0


@given(cosines)
def test_is_the_formula(row):
    known, outliers, refused = (20 * row).exp().split(4, dim=1)
    share = known / (known.sum() + outliers.sum())
    torch.testing.assert_close(of_free_cosines(no=False).score_block(row).sigmoid(), share.sum(1))
    expected = (known / (known + refused) * share).sum(1)
    torch.testing.assert_close(of_free_cosines().score_block(row).sigmoid(), expected)


def test_a_bank_far_from_everything_leaves_clipn():
    """With outliers at cosine -1 the softmax is over the classes alone."""
    images = rows(1, seed=3)
    detector = OLE(temperature=0.02).fit(concepts())
    detector.bank_ = -images
    expected = ClipnATD(temperature=0.02).fit(concepts()).score_samples(images)
    torch.testing.assert_close(detector.score_samples(images), expected)


def test_blocks_stay_within_bounded_memory(monkeypatch):
    cells = []

    class Watched(OLE):
        def score_block(self, features):
            cells.append(len(features) * (2 * len(self.text_) + len(self.bank_)))
            return super().score_block(features)

    monkeypatch.setattr(base, "_CELLS", 500)
    detector = Watched(n_prototypes=None, filtered=False).fit(concepts())
    detector.score_samples(rows(64, seed=3))
    assert max(cells) <= 500
    assert len(cells) > 1


def test_says_what_is_wrong():
    plain = Concepts(["cat", "dog"], torch.eye(3)[:2])
    with pytest.raises(OodlibError, match=r"OLE needs outlier labels: pass Concepts\(outlier_names"):
        OLE().fit(plain)
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(OodlibError, match=r"temperature .*number above 0"):
            OLE(temperature=temperature).fit(concepts())
    one = Concepts(["cat", "dog"], torch.eye(3)[:2], ["car"], torch.eye(3)[2:])
    with pytest.raises(OodlibError, match=r"outlier prototypes .*0\.1 quantile: pass more"):
        OLE().fit(one)
    assert OLE(filtered=False).fit(one).kept_words_ == [("car",)]
