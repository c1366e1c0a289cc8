import numpy as np
import pandas as pd
import pytest

from oodlib.errors import OodlibError
from oodlib.projection import coordinates, draw_map


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


def test_too_few_rows():
    with pytest.raises(OodlibError, match="a map of 3 pictures says nothing: pass at least 4"):
        coordinates(np.eye(3))


def test_the_map_names_every_class_and_what_is_outside():
    table = pd.DataFrame({"set": ["inside"] * 3 + ["outside"], "label": ["cat", "dog", "cat", ""], "x": range(4)})
    figure = draw_map(table.assign(y=table["x"]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cat", "dog", "outside"]
