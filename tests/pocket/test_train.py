"""A miniature of the recipe, on the real pictures and towers."""

import json
from dataclasses import asdict

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.nn import functional as F
from torch.testing import assert_close

from oodlib.datasets import emojishift
from oodlib.datasets.emoji_sources import Hand, emoji
from oodlib.errors import OodlibError
from oodlib.pocket import assemble, data, icons, train
from oodlib.pocket.augment import augment
from oodlib.pocket.depthwise import speed_up_depthwise
from oodlib.pocket.recipe import Recipe
from oodlib.pocket.train import Run, loss_of

MINI = Recipe(steps=24, batch=24, icons=6, side=64, warmup=3, concepts=20)


@pytest.fixture(scope="module")
def corpus():
    return data.corpus(0, limit=20, n_validation=10)


def test_benchmark_hands_and_held_out_concepts_are_never_read(monkeypatch):
    read = []
    monkeypatch.setattr(data, "_draw_styles", lambda svg: read.append(svg))
    concepts = emoji(data.TRAINING_GROUPS)
    unseen = emojishift.held_out(emoji(emojishift.GROUPS))
    drawings = list(data._drawings([c for c in concepts if c.code not in unseen]))
    hands = {hand.name: hand for hand in emojishift.hands()}
    forbidden = set()
    for concept in concepts:
        for name, hand in hands.items():
            if name in emojishift.BENCHMARK_HANDS or concept.code in unseen:
                key = hand.key(concept, emojishift.all_slugs(concept))
                forbidden.add(hand.svg(key) if key else None)
    assert len(drawings) > 4000
    assert not {svg for _, svg in drawings} & (forbidden - {None})


def test_the_other_emoji_sets_and_the_icons_never_show_what_is_held_out():
    everything = emoji(data.TRAINING_GROUPS)
    unseen = emojishift.held_out(emoji(emojishift.GROUPS))
    secret = [concept.name.lower() for concept in everything if concept.code in unseen]
    # Its own name: that of "dragon" is also tried with "face", which is another emoji, and taught.
    slugs = {concept.slugs[0] for concept in everything if concept.code in unseen}
    taught = [concept for concept in everything if concept.code not in unseen]
    for package in icons.EMOJI_SETS:
        hand = Hand(package)
        keys = {hand.key(concept, concept.slugs) for concept in taught} - {None}
        assert len(keys) > 300
        assert not keys & slugs
    names = {name for _, name, _ in icons.icons(secret)}
    assert len(names) > 3000
    for name in secret:
        assert not any(set(name.split()) <= set(icon.split()) for icon in names)
    assert not set(icons.ICON_SETS + icons.EMOJI_SETS) & set(emojishift.BENCHMARK_HANDS)


@pytest.mark.parametrize(
    ("file", "name"),
    [("elephant-head", "elephant head"), ("cat-fill", "cat"), ("pizza-one", "pizza"), ("dice-2-outline", "dice")],
)
def test_an_icon_is_called_by_what_it_shows(file, name):
    assert icons.clean(file) == name


def test_names_that_share_their_words_with_a_hidden_one_are_found():
    assert icons.shows_unseen("red panda", ["panda"])
    assert icons.shows_unseen("apple", ["red apple"])
    assert not icons.shows_unseen("pan", ["panda"])


def test_corpus_trains_on_everything_but_the_validation_pictures(corpus):
    assert corpus.pictures.shape[1:] == (len(data.STYLES), 3, 128, 128)
    trained = {*corpus.training(icon=False).tolist(), *corpus.training(icon=True).tolist()}
    assert trained | set(corpus.validation.tolist()) == set(range(len(corpus.concept)))
    assert not trained & set(corpus.validation.tolist())
    assert set(corpus.concept[corpus.validation].tolist()) <= set(corpus.concept[sorted(trained)].tolist())
    assert corpus.icon.sum() == 20


def test_concepts_left_out_are_in_no_batch():
    part = data.corpus(0, limit=20, n_validation=5, leave_out=4)
    hidden = set(part.concept[part.unseen].tolist())
    assert len(hidden) == 4
    seen = {*part.training(icon=False).tolist(), *part.training(icon=True).tolist(), *part.validation.tolist()}
    assert not hidden & set(part.concept[sorted(seen)].tolist())
    recipe = Recipe(steps=40, batch=8, icons=2)
    drawn = {row for _, rows, _ in train.batches(part, recipe, 0) for row in rows.tolist()}
    assert drawn <= seen


def test_styles_differ_and_line_art_has_no_colour(corpus):
    as_drawn, outlined, line_art = corpus.pictures[:40].float().unbind(1)
    assert (as_drawn - outlined).abs().mean() > 1
    saturation = (line_art.amax(1) - line_art.amin(1)).flatten(1).mean(1)
    assert (saturation < 5).float().mean() > 0.9


def test_augmentation_keeps_white_background_and_follows_its_generator(corpus):
    def draw(seed: int) -> torch.Tensor:
        return augment(corpus.pictures[:32], corpus.flip[:32], 96, torch.Generator().manual_seed(seed))

    assert draw(1).shape == (32, 3, 96, 96)
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert draw(1).max() == 1
    assert draw(1).min() >= -1
    assert (draw(1).amin(1) == 1).float().mean() > 0.2


def test_loss_is_symmetric_cross_entropy_where_every_concept_occurs_once():
    g = torch.Generator().manual_seed(0)
    images, texts = (F.normalize(torch.randn(6, 8, generator=g), dim=-1) for _ in range(2))
    logits, target = 10 * images @ texts.T, torch.arange(6)
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    assert_close(loss_of(images, texts, target, torch.tensor(10.0)), expected)


def test_fast_depthwise_convolutions_change_only_rounding():
    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=0).to(memory_format=torch.channels_last)
    x = torch.randn(4, 3, 64, 64).to(memory_format=torch.channels_last)
    results = []
    for _ in range(2):
        model.zero_grad()
        out = model(x)
        out.square().mean().backward()
        results.append([out.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)])
        speed_up_depthwise(model)
    for before, after in zip(*results, strict=True):
        assert_close(before, after, atol=1e-4, rtol=1e-3)


def test_miniature_learns(tmp_path):
    history = train.train(MINI, tmp_path, checkpoint_interval=4)
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    assert history["after"]["pictures"] > 4 * history["chance"]
    path = tmp_path / "weights.safetensors"
    assert path.stat().st_size < 9_000_000
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["recipe"]) == asdict(MINI)


def test_the_shipped_weights_were_made_by_the_recipe_that_stands_in_the_code():
    with safe_open(assemble.WEIGHTS, "pt") as file:
        assert json.loads(file.metadata()["recipe"]) == asdict(Recipe())


def test_whitening_draws_the_names_apart():
    torch.manual_seed(0)
    pooled = torch.randn(400, 384) * torch.linspace(3, 0.1, 384) + 2
    projection = torch.nn.Linear(384, assemble.EMBED_DIM, bias=False)
    train.whiten(projection, pooled)
    before, after = F.normalize(pooled, dim=-1), F.normalize(projection(pooled), dim=-1).detach()
    off = ~torch.eye(400, dtype=torch.bool)
    assert (before @ before.T)[off].mean() > 0.5
    assert (after @ after.T)[off].mean().abs() < 0.05


def test_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    recipe = Recipe(steps=4, batch=8, icons=2, side=64, warmup=2, concepts=8)
    train.train(recipe, tmp_path / "whole", checkpoint_interval=2)
    step = Run.step

    def interrupted(self, number, *rest):
        if number == 3:
            raise KeyboardInterrupt
        return step(self, number, *rest)

    monkeypatch.setattr(Run, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(recipe, tmp_path / "cut", checkpoint_interval=2)
    monkeypatch.setattr(Run, "step", step)
    train.train(recipe, tmp_path / "cut", checkpoint_interval=2)
    whole, cut = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


@pytest.fixture(scope="module")
def run(corpus):
    """Made once, for it encodes hundreds of captions; leave it as it is."""
    return Run(Recipe(steps=2, batch=8, concepts=20), corpus, train.assemble.text_tower_folder())


def test_checkpoint_of_another_recipe_is_refused(tmp_path, run, monkeypatch):
    run.save(tmp_path / "checkpoint.safetensors", 1)
    monkeypatch.setattr(run, "recipe", Recipe(steps=3, batch=8, concepts=20))
    with pytest.raises(OodlibError, match="checkpoint of another recipe: delete it"):
        run.resume(tmp_path / "checkpoint.safetensors")


def test_loss_that_is_not_finite_stops_the_run(corpus, run, monkeypatch):
    monkeypatch.setattr(run, "pooled", torch.full_like(run.pooled, float("nan")))
    with pytest.raises(OodlibError, match="not finite at step 0: lower --lr-trunk"):
        run.step(0, corpus.training(icon=False)[:8], torch.Generator().manual_seed(0))
