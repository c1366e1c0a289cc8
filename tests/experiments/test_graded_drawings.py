import numpy as np
import pytest

from oodlib.datasets import emojishift
from oodlib.errors import OodlibError
from oodlib.experiments import graded_drawings
from oodlib.experiments.graded_drawings import COVARIATE, DISTORTIONS, SEMANTIC, distort

FEW = 3


@pytest.fixture(scope="module")
def graded():
    return graded_drawings.load(FEW)


def test_cells_are_full_but_for_icons_by_emoji_hands(graded):
    counts = np.zeros((len(SEMANTIC), len(COVARIATE)), dtype=int)
    np.add.at(counts, (graded.table["semantic"], graded.table["covariate"]), 1)
    expected = np.full_like(counts, FEW)
    expected[-1, :2] = 0
    np.testing.assert_array_equal(counts, expected)
    assert list(graded.table["id"]) == [identity for part in graded.parts for identity in part.ids]
    assert all(path.is_file() for part in graded.parts for path in part.paths())


def test_a_row_shows_the_same_concepts_in_every_column(graded):
    for _, row in graded.table[graded.table["semantic"] < len(SEMANTIC) - 1].groupby("semantic"):
        assert row.groupby("covariate")["concept"].apply(frozenset).nunique() == 1


def test_rows_are_what_they_are_called(graded):
    known = emojishift.load().table.drop_duplicates("concept").set_index("concept")
    inside = known[known["name"].isin(graded.names)]
    reference = set(graded.reference.table["concept"])
    table = graded.table[graded.table["semantic"] < len(SEMANTIC) - 1].drop_duplicates("concept")
    rows = {row: set(found["concept"]) for row, found in table.groupby("semantic")}
    assert rows[0] <= set(inside.index)
    assert not rows[0] & reference
    assert not (rows[1] | rows[2]) & set(inside.index)
    assert set(known.loc[sorted(rows[1]), "subgroup"]) <= set(inside["subgroup"])
    assert not set(known.loc[sorted(rows[2]), "subgroup"]) & set(inside["subgroup"])
    assert set(known.loc[sorted(rows[2]), "group"]) <= set(inside["group"])
    assert not set(known.loc[sorted(rows[3] | rows[4] | rows[5]), "group"]) & set(inside["group"])


def test_icons_are_called_as_no_emoji_of_the_grid(graded):
    drawn = graded.parts[1].table
    icons = drawn[drawn["semantic"] == len(SEMANTIC) - 1]
    assert not set(icons["concept"]) & {name.lower() for name in graded.parts[0].table["name"]}


def test_distortions_change_what_they_say(drawings):
    from PIL import Image

    with Image.open(drawings["tiger"]) as opened:
        picture = opened.convert("RGB")
    grey, blurred, coarse = (np.asarray(distort(picture, how), dtype=float) for how in DISTORTIONS.values())
    assert np.ptp(grey, axis=2).max() == 0
    original = np.asarray(picture, dtype=float)
    assert np.abs(np.diff(blurred, axis=0)).max() < 0.5 * np.abs(np.diff(original, axis=0)).max()
    assert len(np.unique(coarse.reshape(-1, 3), axis=0)) <= 400
    assert grey.shape == blurred.shape == coarse.shape == original.shape


def test_a_row_needs_a_concept():
    with pytest.raises(OodlibError, match="at least one concept"):
        graded_drawings.load(0)
