"""Pictures that are damaged on purpose: alike every time, and as much as is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oodlib.datasets import emojishift
from oodlib.datasets.damage import COVER, WAYS, damage, damaged
from oodlib.errors import OodlibError


@pytest.fixture(scope="module")
def tiger(drawings):
    with Image.open(drawings["tiger"]) as opened:
        return opened.convert("RGB")


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_damaged_alike_every_time_and_stays_as_it_was(tiger, way):
    before = tiger.tobytes()
    spoilt = damage(tiger, way, 3)
    assert (spoilt.mode, spoilt.size) == ("RGB", tiger.size)
    assert spoilt.tobytes() == damage(tiger, way, 3).tobytes() != before
    assert tiger.tobytes() == before


@given(st.integers(0, 2**63), st.integers(3, 40), st.integers(3, 40))
def test_a_cover_lies_within_and_hides_the_same_share(seed, width, height):
    plain = Image.new("RGB", (width, height), "white")
    hidden = (np.asarray(damage(plain, "covered", seed)) == 128).all(-1)
    assert hidden.sum() == round(COVER * min(width, height)) ** 2


def test_blur_takes_edges_and_noise_adds_them(tiger):
    def edges(picture):
        return float(np.square(np.diff(np.asarray(picture, dtype=float), axis=0)).mean())

    assert edges(damage(tiger, "blurred")) < edges(tiger) / 2
    assert edges(damage(tiger, "noisy")) > 2 * edges(tiger)
    assert damage(tiger, "noisy", 1).tobytes() != damage(tiger, "noisy", 2).tobytes()


def test_another_way_is_refused(tiger):
    with pytest.raises(OodlibError, match="there is no way 'torn'"):
        damage(tiger, "torn")


def test_twins_are_kept_in_the_order_of_their_pictures(tmp_path):
    from pathlib import Path

    manifest = emojishift.load()
    some = manifest.select(np.arange(len(manifest)) % 400 == 0)
    twins = damaged(some, tmp_path)
    assert list(twins.table["of"]) == some.ids
    assert set(twins.table["way"]) <= set(WAYS)
    assert list(twins.table["concept"]) == list(some.table["concept"])
    stamps = [path.stat().st_mtime_ns for path in twins.paths()]
    again = damaged(some, tmp_path)
    assert again.digest == twins.digest
    assert [path.stat().st_mtime_ns for path in again.paths()] == stamps, "nothing is drawn twice"
    assert Path(again.root).parent == tmp_path / "datasets"
