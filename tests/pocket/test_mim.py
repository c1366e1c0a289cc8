"""Miniatures of the three small towers' recipe, on the real drawings."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from oodlib.datasets import emojishift
from oodlib.errors import OodlibError
from oodlib.pocket import mim
from oodlib.pocket.mim import SHARES, MimRecipe, Run
from oodlib.pocket.patch_drawings import drawings
from oodlib.pocket.patch_tower import NAMES, PatchTower, hide, load_patch_tower, patches, untaught, weights_file

MINI = MimRecipe(steps=30, batch=32, warmup=3, concepts=20)


@pytest.fixture(scope="module")
def data():
    return drawings(20)


def test_only_pretraining_hands_and_concepts_are_read():
    table = emojishift.load().table
    everything = drawings()
    pretraining = table[table["split"] == "pretraining"]
    assert len(everything.pictures) == len(pretraining)
    assert everything.n_concepts == pretraining["concept"].nunique() < table["concept"].nunique()
    assert set(pretraining["hand"]).isdisjoint(emojishift.BENCHMARK_HANDS)
    assert set(pretraining["unseen"]) == {"false"}


def test_what_is_watched_is_not_taught_but_its_concept_is(data):
    taught, watched = set(data.taught.tolist()), set(data.watched.tolist())
    assert taught | watched == set(range(len(data.pictures)))
    assert not taught & watched
    assert watched
    assert set(data.concept[data.watched].tolist()) <= set(data.concept[data.taught].tolist())


def test_all_towers_see_the_same_drawings_in_the_same_order(data):
    seen = [
        [(step, rows.tolist(), generator.initial_seed()) for step, rows, generator in mim.batches(data, recipe, 0)]
        for recipe in (replace(MINI, masked=share) for share in SHARES.values())
    ]
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == MINI.steps
    assert next(iter(mim.batches(data, MINI, 28)))[1].tolist() == seen[0][28][1]


def test_whole_squares_are_hidden_and_so_many_of_each_picture():
    hidden = hide(50, 4, torch.Generator().manual_seed(0)).view(50, 6, 6)
    squares = hidden.view(50, 3, 2, 3, 2).float().mean((2, 4))
    assert set(squares.flatten().tolist()) == {0.0, 1.0}
    assert set(squares.sum((1, 2)).tolist()) == {4.0}
    assert len({tuple(one) for one in squares.flatten(1).tolist()}) > 30


def test_patches_are_laid_out_as_the_tower_has_them():
    pictures = torch.rand(2, 3, 48, 48)
    weight = torch.eye(192).view(192, 3, 8, 8)
    as_tower = torch.nn.functional.conv2d(pictures, weight, stride=8).flatten(2).transpose(1, 2)
    assert torch.equal(as_tower, patches(pictures))


def test_the_untaught_tower_is_where_all_set_out(data):
    before = torch.random.get_rng_state()
    start = untaught().state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    for share in SHARES.values():
        tower = Run(replace(MimRecipe(), masked=share), data).model["tower"].state_dict()
        assert all(torch.equal(tower[name], start[name]) for name in start)


def test_hidden_pixels_are_not_seen_and_the_others_are():
    torch.manual_seed(0)
    tower, pictures = PatchTower().eval(), torch.rand(2, 3, 48, 48)
    hidden = hide(2, 4, torch.Generator().manual_seed(0))
    where = hidden.view(2, 1, 6, 6).repeat_interleave(8, 2).repeat_interleave(8, 3)
    with torch.inference_mode():
        before = tower.restored(pictures, hidden)
        assert torch.equal(before, tower.restored(torch.where(where, 1 - pictures, pictures), hidden))
        assert not torch.equal(before, tower.restored(torch.where(where, pictures, 1 - pictures), hidden))


@pytest.mark.parametrize("name", NAMES)
def test_a_miniature_learns(name, data, tmp_path):
    recipe = replace(MINI, masked=SHARES[name])
    before = Run(recipe, data).watch()
    log = mim.train(recipe, tmp_path, checkpoint_interval=5)
    assert log["pictures"] == 30 * 32
    if name != "named":
        assert log["watched"]["pixels"] < 0.9 * before["pixels"]
    first = 3 if name == "masked-then-named" else 0  # of six stretches, the first that names
    assert log["loss"][-1] < 0.97 * log["loss"][first]
    path = tmp_path / "weights.safetensors"
    assert path.stat().st_size < 3_000_000
    tower, about = load_patch_tower(name, path)
    assert about["recipe"] == asdict(recipe)
    assert about["log"] == log
    assert tower(torch.zeros(2, 3, 48, 48)).shape == (2, 128)


def test_the_rate_warms_up_and_falls_in_each_part():
    recipe = replace(MINI, masked=0.5)
    rates = [recipe.rate(step) for step in range(recipe.steps)]
    assert rates[:15] == rates[15:]
    assert rates[0] < rates[2]
    assert rates[2] == pytest.approx(recipe.lr, rel=0.1)
    assert rates[14] < 0.02 * recipe.lr


@pytest.mark.parametrize("cut", [1, 3])  # in either part
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch, cut):
    recipe = replace(MINI, masked=0.5, steps=4, batch=8, concepts=8)
    mim.train(recipe, tmp_path / "whole", checkpoint_interval=1)
    step = Run.step

    def interrupted(self, number, *rest):
        if number == cut:
            raise KeyboardInterrupt
        return step(self, number, *rest)

    monkeypatch.setattr(Run, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mim.train(recipe, tmp_path / "cut", checkpoint_interval=1)
    monkeypatch.setattr(Run, "step", step)
    mim.train(recipe, tmp_path / "cut", checkpoint_interval=1)
    whole, again = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    logs = [json.loads((tmp_path / name / "log.json").read_text()) for name in ("whole", "cut")]
    assert logs[0]["loss"] == logs[1]["loss"]


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, data):
    Run(MINI, data).save(tmp_path / "checkpoint.safetensors", 1)
    with pytest.raises(OodlibError, match="checkpoint of another recipe: delete it"):
        Run(replace(MINI, lr=0.1), data).resume(tmp_path / "checkpoint.safetensors")


def test_a_loss_that_is_not_finite_stops_the_run(data):
    run = Run(replace(MINI, masked=0.0), data)
    torch.nn.init.constant_(run.model["head"].bias, np.nan)
    with pytest.raises(OodlibError, match="not finite at step 0: lower --lr"):
        run.step(0, data.taught[:8], torch.Generator().manual_seed(0))


def test_a_batch_larger_than_the_drawings_is_refused(data):
    with pytest.raises(OodlibError, match=r"a batch wants 500 of \d+ drawings: lower --batch"):
        next(mim.batches(data, replace(MINI, batch=500), 0))


def test_weights_that_are_damaged_or_of_no_tower_are_refused(tmp_path):
    (tmp_path / "damaged.safetensors").write_bytes(b"no weights")
    with pytest.raises(OodlibError, match="the weights of the tower 'named' cannot be read"):
        load_patch_tower("named", tmp_path / "damaged.safetensors")
    with pytest.raises(OodlibError, match="there is no tower 'beit': choose one of masked, named"):
        load_patch_tower("beit")


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_towers_were_made_by_the_recipe_that_stands_in_the_code(name):
    _, about = load_patch_tower(name)
    recipe = replace(MimRecipe(), masked=SHARES[name])
    assert about["recipe"] == asdict(recipe)
    assert about["log"]["pictures"] == recipe.steps * recipe.batch
    assert len(about["log"]["loss"]) == recipe.steps / 50
    assert about["log"]["seconds"] < 15 * 60
    assert weights_file(name).stat().st_size < 3_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_tower_finds_a_concept_again_in_another_hand(name, data):
    tower, _ = load_patch_tower(name)
    shown = torch.nn.functional.interpolate(data.pictures.float() / 127.5 - 1, 48, mode="area")
    with torch.inference_mode():
        features = torch.nn.functional.normalize(tower.eval()(shown), dim=1)
    nearest = (features @ features.T).fill_diagonal_(-1).argmax(1)
    assert (data.concept[nearest] == data.concept).float().mean() > 0.15  # by chance 0.05
