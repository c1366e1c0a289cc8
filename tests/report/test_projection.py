import numpy as np
import pandas as pd
import pytest
import umap
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from oodlib.errors import OodlibError
from oodlib.report.projection import _smallest, coordinates, draw_map, load_umap, trustworthiness

ROWS = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(4, 30)), elements=st.integers(0, 9))


@pytest.mark.slow
def test_neighbours_stay_neighbours_and_a_seed_repeats_the_map():
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(8)[:2], 12, axis=0)
    rows = centres + 0.05 * rng.normal(size=centres.shape)
    places = coordinates(rows, seed=1)
    assert places.shape == (24, 2)
    np.testing.assert_array_equal(places, coordinates(rows, seed=1))
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e9 * np.eye(24)
    assert ((distances.argmin(1) < 12) == (np.arange(24) < 12)).all()


@given(ROWS, st.integers(1, 4))
def test_the_smallest_values_are_those_of_a_stable_sort(values, k):
    """Few different numbers: many rows have more than k that are as small as the k-th."""
    np.testing.assert_array_equal(_smallest(values, k), np.argsort(values, axis=1, kind="stable")[:, :k])


def test_what_a_map_is_made_with_is_compiled_once_on_a_machine():
    load_umap()
    assert umap.umap_.smooth_knn_dist.stats.cache_path


@pytest.mark.slow
def test_equal_rows_have_one_place_and_the_order_of_rows_does_not_count():
    rows = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    rows[[7, 20]] = rows[3]
    places = coordinates(rows)
    np.testing.assert_array_equal(places[[7, 20]], places[[3, 3]])
    order = np.random.default_rng(2).permutation(30)
    np.testing.assert_array_equal(coordinates(rows[order]), places[order])


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 12])
def test_few_rows_have_a_map(n):
    places = coordinates(np.random.default_rng(3).normal(size=(n, 8)))
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == n


def test_a_map_is_trusted_for_its_neighbours_not_for_its_places():
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 1.5, size=60)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # by cosine, neighbours on a line of angles
    assert trustworthiness(rows, np.stack([-40 * angles, 0 * angles], axis=1)) == pytest.approx(1, abs=0.01)
    assert trustworthiness(rows, rng.normal(size=(60, 2))) < 0.7
    assert 0 <= trustworthiness(rows[:5], rows[:5]) <= 1, "fewer points than neighbours asked for"


def test_too_few_rows():
    with pytest.raises(OodlibError, match="a map of 3 different pictures says nothing: pass at least 4"):
        coordinates(np.eye(3))
    with pytest.raises(OodlibError, match="a map of 3 different"):
        coordinates(np.repeat(np.eye(3), 5, axis=0))


def test_the_map_names_every_class_and_what_is_outside():
    table = pd.DataFrame({"set": ["inside"] * 3 + ["outside"], "label": ["cat", "dog", "cat", ""], "x": range(4)})
    figure = draw_map(table.assign(y=table["x"]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "dog", "outside"]


def test_copies_do_not_vouch_for_a_map():
    """Random places score about 0.5, however often each row is there; places of the truth score 1."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 8))
    places = rng.normal(size=(40, 2))
    once = trustworthiness(rows, places)
    assert once < 0.7
    for times in (2, 25):
        copied = np.repeat(np.arange(40), times)
        assert trustworthiness(rows[copied], places[copied]) == pytest.approx(once)
    shuffled = rng.permutation(np.repeat(np.arange(40), 3))
    assert trustworthiness(rows[shuffled], places[shuffled]) == pytest.approx(once)
    with pytest.raises(OodlibError, match="3 different pictures"):
        trustworthiness(rows[[0, 1, 2] * 9], places[[0, 1, 2] * 9])
