import pytest
import torch
from torch.testing import assert_close

from oodlib.datasets import emojishift
from oodlib.embeddings.embedding import embed
from oodlib.errors import OodlibError
from oodlib.tuning import take_shots


@pytest.fixture(scope="module")
def few():
    """One hand's pictures of three animals."""
    manifest = emojishift.load()
    own = emojishift.benchmarks(manifest, home_hands=("twemoji",))["animals-food"].id
    return own.select(own.table["label"].isin(sorted(own.table["label"])[:3]))


def test_the_first_view_is_the_picture_as_it_is(pocket, few):
    names = sorted(set(few.table["label"]))
    shots = take_shots(pocket, few, names, views=3, patches=True, pictures=True)
    assert_close(shots.features[0], embed(pocket, few).features, rtol=1e-4, atol=1e-5)
    assert [names[i] for i in shots.labels.tolist()] == few.table["label"].tolist()
    assert shots.features.shape == (3, len(few), 256)
    assert shots.patches.shape == (3, len(few), 16, 256)
    assert shots.pictures.shape == (3, len(few), 3, 128, 128)
    assert not torch.allclose(shots.features[1], shots.features[0], atol=1e-2)


def test_views_depend_on_the_seed_alone(pocket, few):
    names = sorted(set(few.table["label"]))
    state = torch.random.get_rng_state()
    first, again, other = (take_shots(pocket, few, names, views=2, seed=seed).features for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_does_not_fit_is_named(pocket, few):
    with pytest.raises(OodlibError, match="is the label of a shot, but no class"):
        take_shots(pocket, few, ["bus"])
    with pytest.raises(OodlibError, match="views must be at least 1"):
        take_shots(pocket, few, sorted(set(few.table["label"])), views=0)
    with pytest.raises(OodlibError, match="frozen=2 is about the pictures of shots: pass pictures=True"):
        take_shots(pocket, few, sorted(set(few.table["label"])), frozen=2)


def test_many_pictures_are_read_a_chunk_at_a_time(pocket, few, monkeypatch):
    names = sorted(set(few.table["label"]))
    whole = take_shots(pocket, few, names, views=1, patches=True, pictures=True)
    monkeypatch.setattr("oodlib.tuning._shots.CHUNK", 2)
    chunked = take_shots(pocket, few, names, views=1, patches=True, pictures=True)
    assert_close(chunked.features, whole.features, rtol=1e-4, atol=1e-5)
    assert torch.equal(chunked.pictures, whole.pictures)
    assert torch.equal(chunked.labels, whole.labels)
    assert chunked.patches.shape == whole.patches.shape


def test_some_of_the_shots_keep_all_their_parts(pocket, few):
    names = sorted(set(few.table["label"]))
    whole = take_shots(pocket, few, names, views=2, patches=True, pictures=True, frozen=5)
    chosen = torch.tensor([True, False, True])
    some = whole.some(chosen)
    assert some.frozen == 5
    assert torch.equal(some.labels, whole.labels[chosen])
    for name in ("features", "patches", "pictures"):
        assert torch.equal(getattr(some, name), getattr(whole, name)[:, chosen])
    assert take_shots(pocket, few, names, views=1).some(chosen).patches is None
