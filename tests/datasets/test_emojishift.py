import hashlib
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from oodlib.datasets import emojishift
from oodlib.datasets.drawn import SEAL
from oodlib.datasets.emoji_sources import BENCHMARK_HANDS, HANDS, PRETRAINING_HANDS, all_slugs, emoji, hands
from oodlib.errors import MendedWarning, OodlibError

# The manifest under the pinned packages, on any machine. It changes only when the packages or the rules do.
DIGEST = "e8711786182a682007f0b87128ddefeab8b1a2f855f2740cb257c764d2bce513"


@pytest.fixture(scope="module")
def manifest():
    return emojishift.load()


@pytest.fixture(scope="module")
def sets(manifest):
    return emojishift.benchmarks(manifest)


def test_manifest_is_the_pinned_one(manifest):
    assert manifest.digest == DIGEST


def test_every_picture_is_there_and_is_what_the_manifest_says(manifest):
    assert all(path.is_file() for path in manifest.paths())
    for row in manifest.table.sample(40, random_state=0).itertuples():
        with Image.open(manifest.root / row.uri) as picture:
            assert (picture.mode, picture.size) == ("RGB", (emojishift.SIDE,) * 2)
            assert hashlib.sha256(picture.tobytes()).hexdigest() == row.pixels


def test_pictures_show_something_on_white(manifest):
    for row in manifest.table.sample(60, random_state=1).itertuples():
        pixels = np.asarray(Image.open(manifest.root / row.uri), dtype=float)
        assert pixels.std() > 3, row.id


def test_no_drawing_occurs_twice(manifest):
    assert not manifest.table["pixels"].duplicated().any()


def test_held_out_concepts_are_a_hundred_and_never_in_pretraining(manifest):
    table = manifest.table
    unseen = set(table.loc[table["unseen"] == "true", "concept"])
    assert len(unseen) == emojishift.N_HELD_OUT
    assert not unseen & set(table.loc[table["split"] == "pretraining", "concept"])
    assert set(table.loc[table["unseen"] == "true", "group"]) == set(emojishift.HELD_OUT_GROUPS)


def test_hands_and_splits_go_together(manifest):
    by_split = manifest.table.groupby("split")["hand"].unique().map(set)
    assert by_split["benchmark"] == set(BENCHMARK_HANDS)
    assert by_split["pretraining"] == by_split["held-out"] == set(PRETRAINING_HANDS)


def test_out_of_distribution_sets_share_no_concept_with_the_names(sets):
    for benchmark in sets.values():
        for name, other in benchmark.ood.items():
            shared = set(benchmark.names) & set(other.table["label"])
            assert bool(shared) == (benchmark.kinds[name] == "covariate"), (benchmark.name, name, shared)


def test_near_concepts_are_siblings_in_every_subgroup(manifest, sets):
    subgroups = set(manifest.table.loc[manifest.table["group"].isin(emojishift.ID_GROUPS), "subgroup"])
    near = sets["animals-food"].ood["near"].table
    big = {name for name in subgroups if (manifest.table["subgroup"] == name).sum() > 30}
    assert big <= set(near["subgroup"])


def test_covariate_sets_show_the_same_concepts_in_one_other_hand(sets):
    benchmark = sets["animals-food"]
    assert benchmark.kinds["flat-hand"] == benchmark.kinds["line-hand"] == "covariate"
    for name, hand in emojishift.COVARIATE_HANDS.items():
        assert set(benchmark.ood[name].table["hand"]) == {hand}
        assert hand not in set(benchmark.id.table["hand"])


def test_hard_sets_hold_ten_and_twenty_concepts_in_every_benchmark_hand(sets):
    for name, n in (("hard-10", 10), ("hard-20", 20)):
        counts = Counter(sets[name].id.table["label"])
        assert len(sets[name].names) == n
        assert set(counts) == set(sets[name].names)
        assert set(counts.values()) == {len(BENCHMARK_HANDS)}


def test_named_drawings_agree_across_hands():
    table = {concept.name: concept for concept in emoji(emojishift.GROUPS)}
    found = {hand.name: hand.key(table["dog face"], all_slugs(table["dog face"])) for hand in hands()}
    assert found["twemoji"] == found["noto"] == found["fluent-emoji"] == "dog-face"
    assert set(found) == set(HANDS)


rows = st.lists(st.tuples(st.sampled_from(HANDS[:4]), st.sampled_from("abcd"), st.sampled_from("uvwxyz")), max_size=16)


@given(rows)
def test_deduplication_keeps_only_unambiguous_first_drawings(drawn):
    unique = {(hand, concept): pixels for hand, concept, pixels in drawn}
    ordered = sorted(unique.items(), key=lambda item: HANDS.index(item[0][0]))
    frame = pd.DataFrame([(*key, pixels) for key, pixels in ordered], columns=["hand", "concept", "pixels"])
    kept, dropped = emojishift.deduplicate(frame)
    assert len(kept) + len(dropped) == len(frame)
    assert not kept["pixels"].duplicated().any()
    for (hand, pixels), group in frame.groupby(["hand", "pixels"]):
        if group["concept"].nunique() > 1:
            assert not ((kept["hand"] == hand) & (kept["pixels"] == pixels)).any()
    # Nothing vanishes without a reason: a dropped drawing is ambiguous, or an earlier hand has it.
    repeated = dropped[dropped["why"] == "repeated"]
    assert set(repeated["pixels"]) <= set(kept["pixels"])


def test_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_NODE_MODULES", str(tmp_path))
    with pytest.raises(OodlibError, match=r"the npm package emojibase-data is missing .*npm ci"):
        emoji(emojishift.GROUPS)


def test_damaged_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("OODLIB_NODE_MODULES", str(tmp_path))
    for path in ("meta/groups.json", "en/data.json"):
        (tmp_path / "emojibase-data" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "emojibase-data" / path).write_text("{")
    with pytest.raises(OodlibError, match=r"emojibase-data is damaged .*run `npm ci` again"):
        emoji(emojishift.GROUPS)


@pytest.mark.parametrize("name", [*emojishift.TABLES, SEAL])
def test_damaged_tables_are_made_again_and_that_is_said(name, manifest, tmp_path, monkeypatch):
    target = emojishift.folder(tmp_path)
    target.mkdir(parents=True)
    tables = [*emojishift.TABLES, SEAL]
    for table in tables:
        shutil.copy(manifest.root / table, target)
    assert emojishift.load(tmp_path).digest == manifest.digest
    (target / name).write_text((target / name).read_text().replace("e", "a", 1))
    monkeypatch.setattr(emojishift, "_draw_all", lambda place: [shutil.copy(manifest.root / t, place) for t in tables])
    with pytest.warns(MendedWarning, match=f"EmojiShift in {target} is made again: its tables do not hold"):
        assert emojishift.load(tmp_path).digest == manifest.digest
    assert emojishift.load(tmp_path).table.equals(manifest.table)
