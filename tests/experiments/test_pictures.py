"""From a profile to its pictures: a shelf of photographs, what is cut and what has to be embedded."""

import shutil

import pandas as pd
import pytest

from oodlib.datasets import emojishift, photos
from oodlib.datasets.base import Manifest
from oodlib.errors import OodlibError
from oodlib.experiments.pictures import Shelf, distinct, limited, pictures_of, state_of
from oodlib.experiments.profiles import Profile, load_profile

PHOTOGRAPHS = {
    "root": "PICTURES_ROOT",
    "sets": {
        "imagenet-1k": {"far": ["textures"], "near": ["ninco", "imagenet-o"]},
        "imagenet-10": {"hard": ["imagenet-20"]},
    },
    "optional": ["imagenet-o"],
}


def profile(photographs=None, **changes) -> Profile:
    whole = {
        "name": "mine",
        "title": "Mine",
        "encoder": {"name": "RN50", "pretrained": "random"},
        "dataset": "photos",
        "photos": photographs or PHOTOGRAPHS,
        "templates": "photo",
        "detectors": {"mcm": {}},
        "id_sets": list((photographs or PHOTOGRAPHS)["sets"]),
        "n_boot": 10,
    }
    return Profile(**{**whole, **changes})


def listed(name: str, ids: str) -> Manifest:
    rows = [{"id": one, "uri": one, "label": "", "split": "test", "sha256": one} for one in ids]
    return Manifest(name, None, pd.DataFrame(rows))


@pytest.fixture
def root(sample_tree, monkeypatch):
    monkeypatch.setenv("PICTURES_ROOT", str(sample_tree))
    return sample_tree


@pytest.fixture
def some(sample_tree, tmp_path, monkeypatch):
    """A copy of a few sets, to change."""
    for folder in ("imagenet/val", "dtd", "NINCO", "imagenet-o"):
        shutil.copytree(sample_tree / folder, tmp_path / folder)
    shutil.copy(sample_tree / "SAMPLE.json", tmp_path)
    monkeypatch.setenv("PICTURES_ROOT", str(tmp_path))
    return tmp_path


def test_lists_inside_others_need_no_store():
    whole, part, other, both = (listed(*one) for one in (("a", "1234"), ("b", "24"), ("c", "56"), ("d", "345")))
    assert distinct([part, whole]) == (whole,)
    assert [one.name for one in distinct([part, other, whole, both])] == ["a", "d", "c"]
    assert [one.name for one in distinct([other, whole, both])] == ["a", "d", "c"], "6 is in no other"
    assert distinct([whole, listed("e", "4321")]) == (whole,), "the first of two equal ones"
    assert distinct([]) == ()


def test_every_picture_is_in_some_list(root):
    run = profile()
    found = pictures_of(run)
    embedded = {identity for part in found.to_embed for identity in part.table["id"]}
    shown = {identity for parts in found.sets.values() for part in parts.values() for identity in part.table["id"]}
    assert embedded == shown
    assert [part.name for part in found.to_embed].count("imagenet-1k") == 1
    assert not {"imagenet-10", "imagenet-20"} & {part.name for part in found.to_embed}, "parts of imagenet-1k"
    assert found.digests == {part.name: part.digest for part in found.to_embed}


def test_photographs_are_the_sets_of_the_profile(root):
    found = pictures_of(profile())
    assert list(found.benchmarks) == ["imagenet-1k", "imagenet-10"]
    assert found.benchmarks["imagenet-1k"].kinds == {"textures": "far", "ninco": "near", "imagenet-o": "near"}
    assert list(found.sets["imagenet-1k"]) == ["imagenet-1k", "textures", "ninco", "imagenet-o"]
    assert found.sets["imagenet-10"]["imagenet-20"].digest == photos.load("imagenet-20", root).digest
    assert set(found.sets["imagenet-10"]["imagenet-10"].table["label"]) == set(found.benchmarks["imagenet-10"].names)
    assert found.benchmarks["imagenet-10"].names == photos.class_names("imagenet-10")


def test_every_set_is_cut_to_what_the_profile_takes(root):
    run = profile(pictures=10)
    found = pictures_of(run)
    for name, parts in found.sets.items():
        for part, manifest in parts.items():
            whole = {name: found.benchmarks[name].id, **found.benchmarks[name].ood}[part]
            assert len(manifest) == 10
            assert sorted(manifest.table["sha256"]) == sorted(whole.table["sha256"])[:10]
    assert limited(run, found.benchmarks)["imagenet-10"].keys() == {"imagenet-10", "imagenet-20"}


def test_an_optional_set_is_left_out_where_it_is_not_there(some):
    assert "imagenet-o" in pictures_of(profile()).sets["imagenet-1k"]
    shutil.rmtree(some / "imagenet-o")
    found = pictures_of(profile())
    assert found.benchmarks["imagenet-1k"].kinds == {"textures": "far", "ninco": "near"}
    shutil.rmtree(some / "NINCO")
    with pytest.raises(OodlibError, match="ninco: there is nothing"):
        pictures_of(profile())


def test_a_set_that_is_not_whole_stops_even_if_it_is_optional(some):
    run = profile(PHOTOGRAPHS | {"optional": ["imagenet-o", "textures"]})
    shutil.rmtree(some / "dtd" / "images" / "banded")
    assert Shelf(some, "clean").has("textures"), "it is there, though not as it should be"
    with pytest.raises(OodlibError, match="textures: 1 of 47 classes missing"):
        pictures_of(run)
    shutil.rmtree(some / "dtd")
    assert "textures" not in pictures_of(run).sets["imagenet-1k"]


def test_a_shelf_reads_a_set_once(root, monkeypatch):
    read = []
    real = photos.load
    monkeypatch.setattr(photos, "load", lambda name, place: read.append(name) or real(name, place))
    shelf = Shelf(root, "clean")
    assert shelf.manifest("ninco") is shelf.manifest("ninco")
    shelf.benchmark("imagenet-10", {"hard": ["imagenet-20"], "near": ["ninco"]})
    assert read == ["ninco", "imagenet-10", "imagenet-20"]


@pytest.mark.parametrize("naming", ["clean", "openai"])
def test_labels_are_the_names_of_the_chosen_tradition(root, naming):
    shelf = Shelf(root, naming)
    called = dict(zip(photos.class_ids("imagenet-1k"), photos.class_names("imagenet-1k", naming), strict=True))
    table = shelf.manifest("imagenet-1k").table
    assert table["label"].tolist() == [called[identity] for identity in table["class_id"]]
    benchmark = shelf.benchmark("imagenet-1k", {"far": ["sun"]})
    assert benchmark.names == tuple(called[identity] for identity in photos.class_ids("imagenet-1k", root))
    assert len(benchmark.names) < 1000, "a sample is asked about its own classes"
    assert set(shelf.manifest("sun").table["label"]) == {""}
    assert "creme brulee" in set(shelf.manifest("ninco").table["label"]), "a set without a list keeps its labels"


def test_the_two_traditions_differ_and_name_the_same_pictures(root):
    clean, openai = (Shelf(root, naming).manifest("imagenet-10") for naming in ("clean", "openai"))
    assert clean.table["id"].tolist() == openai.table["id"].tolist()
    assert (clean.table["label"] != openai.table["label"]).any()
    assert clean.digest != openai.digest


def test_sets_to_skip_are_left_out(root):
    one = Shelf(root, "clean").benchmark("cub-100", {"near": ["cub-100-rest", "nowhere"]}, skip=["nowhere"])
    assert dict(one.kinds) == {"cub-100-rest": "near"}
    assert list(one.ood) == ["cub-100-rest"]
    assert not set(one.ood["cub-100-rest"].table["class_id"]) & set(one.id.table["class_id"])


def test_drawings_are_those_of_emojishift():
    full, small = (load_profile("pocket", small=small) for small in (False, True))
    manifest = emojishift.load()
    found, few = pictures_of(full), pictures_of(small)
    assert list(found.benchmarks) == full.id_sets
    (used,) = found.to_embed
    assert used.digest == emojishift.benchmark_pictures(manifest).digest
    assert found.digests == {"emojishift": manifest.digest, "emojishift, pictures used": used.digest}
    (used,) = few.to_embed
    assert few.digests == {"emojishift": manifest.digest, "emojishift, pictures used": used.digest}
    shown = {identity for parts in few.sets.values() for part in parts.values() for identity in part.table["id"]}
    assert set(used.table["id"]) == shown
    assert all(len(part) <= small.pictures for parts in few.sets.values() for part in parts.values())


def test_what_is_there_is_told_so_that_pages_are_made_again(some):
    run = profile()
    before = state_of(run)
    assert before["ninco"][0] == "sample"
    assert set(before) == {"imagenet-1k", "imagenet-10", "imagenet-20", "textures", "ninco", "imagenet-o"}
    next((some / "NINCO").rglob("*.jp*g")).unlink()
    after = state_of(run)
    assert {name for name in before if before[name] != after[name]} == {"ninco"}
