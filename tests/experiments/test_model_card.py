"""The model card's numbers, on made-up features whose answers are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from torch.nn import functional as F

from oodlib.concepts import Concepts
from oodlib.datasets.base import Manifest
from oodlib.datasets.emoji_sources import BENCHMARK_HANDS
from oodlib.datasets.emojishift import FAR_GROUPS, GROUPS, ID_GROUPS, benchmarks
from oodlib.detectors import get_detector
from oodlib.embeddings.embedding import Embeddings
from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import ood_metrics
from oodlib.experiments.model_card import COLUMNS, DETECTORS, Vocabulary, measure, oracle

PER_GROUP = 10


class Words:
    """A text encoder that gives every concept a direction of its own."""

    logit_scale = 50.0

    def __init__(self, names: list[str]):
        self.text = dict(zip(names, torch.eye(len(names)), strict=True))

    def encode_texts(self, texts, templates=None):
        return torch.stack([self.text[text] for text in texts])


def world(per_group: int = PER_GROUP) -> tuple[Manifest, Vocabulary]:
    """Every hand draws every concept; in each group the first is held out, of the ID groups the last is a sibling."""
    rows = []
    for hand in BENCHMARK_HANDS:
        for group in GROUPS:
            for k in range(per_group):
                name = f"{group} {k}"
                rows.append(
                    {
                        **{"id": f"{hand}/{name}", "uri": "", "label": name, "split": "benchmark", "sha256": ""},
                        **{"hand": hand, "concept": name, "name": name, "group": group},
                        "unseen": str(k == 0 and group != "symbols").lower(),
                        "near": str(k == per_group - 1 and group in ID_GROUPS).lower(),
                    }
                )
    table = pd.DataFrame(rows)
    return Manifest("made up", Path(), table), Vocabulary.encode(Words(list(table["name"].unique())), table["name"])


def stacked(words: Vocabulary, names) -> torch.Tensor:
    return torch.stack([words.text[name] for name in names])


def drawn(manifest: Manifest, words: Vocabulary, shown: pd.Series | None = None) -> Embeddings:
    """Features that match the name in `shown` exactly; by default every picture's own."""
    names = manifest.table["name"] if shown is None else shown
    return Embeddings("key", tuple(manifest.table["id"]), stacked(words, names))


def noisy(manifest: Manifest, words: Vocabulary, seed: int = 0) -> Embeddings:
    clean = drawn(manifest, words).features
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return Embeddings("key", tuple(manifest.table["id"]), F.normalize(clean + 0.4 * noise, dim=-1))


def cell(table: pd.DataFrame, what: str, pictures: str, hand: str = "mean") -> pd.Series:
    found = table[(table["measure"] == what) & (table["pictures"] == pictures) & (table["hand"] == hand)]
    assert len(found) == 1
    return found.iloc[0]


def test_table_is_complete_and_perfect_features_are_perfect():
    manifest, words = world()
    table = measure(words, manifest, drawn(manifest, words), n_boot=20)
    assert tuple(table.columns) == COLUMNS
    far = [*FAR_GROUPS, "far", "far but symbols"]
    expected = [("top1", "animals-food"), ("top1", "held-out")]
    expected += [(what, pictures) for what in (*DETECTORS, "oracle") for pictures in far]
    assert list(dict.fromkeys(zip(table["measure"], table["pictures"], strict=True))) == expected
    assert (table.groupby(["measure", "pictures"])["hand"].agg(list).map(tuple) == (*BENCHMARK_HANDS, "mean")).all()
    assert (table[["value", "low", "high"]] == 1).all(axis=None)


def test_vocabulary_encodes_each_name_once_and_keeps_the_order_asked_for():
    asked = []
    encoder = Words(["a", "b", "c"])
    encoder.encode_texts = lambda texts, templates: asked.append((texts, templates)) or torch.eye(3)
    words = Vocabulary.encode(encoder, ["a", "b", "a", "c"], ("the {}",))
    assert asked == [(["a", "b", "c"], ("the {}",))]
    concepts = words.concepts(["c", "a", "c"])
    assert concepts.names == ("c", "a")
    assert concepts.logit_scale == 50
    assert torch.equal(concepts.text, torch.eye(3)[[2, 0]])


def test_counts_are_those_of_the_pictures_to_name_or_to_catch():
    manifest, words = world()
    table = measure(words, manifest, drawn(manifest, words), n_boot=5)
    assert cell(table, "top1", "animals-food", "twemoji")["n"] == 2 * PER_GROUP  # siblings are named too
    assert cell(table, "top1", "held-out", "twemoji")["n"] == len(GROUPS) - 1
    assert cell(table, "mcm", "objects", "twemoji")["n"] == PER_GROUP
    assert cell(table, "mcm", "far", "twemoji")["n"] == len(FAR_GROUPS) * PER_GROUP
    assert cell(table, "mcm", "far but symbols")["n"] == 4 * (len(FAR_GROUPS) - 1) * PER_GROUP


def test_wrong_pictures_of_one_hand_count_in_that_hand_and_in_the_mean():
    manifest, words = world()
    names, hand = manifest.table["name"].copy(), manifest.table["hand"]
    wrong = (hand == "openmoji") & names.isin(["animals-nature 3", "food-drink 4", "food-drink 9", "objects 5"])
    names[wrong] = "animals-nature 1"
    table = measure(words, manifest, drawn(manifest, words, names), n_boot=50)
    assert cell(table, "top1", "animals-food", "openmoji")["value"] == pytest.approx(1 - 3 / 20)
    assert cell(table, "top1", "animals-food", "twemoji")["value"] == 1
    assert cell(table, "top1", "animals-food")["value"] == pytest.approx(1 - 3 / 80)
    # One object of ten looks like an ID concept: it ties with all ID pictures, which is worth half a point each.
    assert cell(table, "max_logit", "objects", "openmoji")["value"] == pytest.approx(1 - 0.05)
    assert cell(table, "max_logit", "far", "openmoji")["value"] == pytest.approx(1 - 0.05 / 4)


def test_held_out_measure_shows_only_unseen_concepts_and_offers_only_their_names():
    manifest, words = world()
    own = drawn(manifest, words).features
    seen = torch.tensor((manifest.table["unseen"] == "false").to_numpy())
    stranger = words.text["animals-nature 5"]
    # Seen concepts are all taken for another one. Unseen ones look most like it, and next most like themselves.
    mixed = torch.where(seen[:, None], stranger, F.normalize(own + 1.2 * stranger, dim=-1))
    table = measure(words, manifest, Embeddings("key", tuple(manifest.table["id"]), mixed), n_boot=20)
    assert (table.loc[table["pictures"] == "held-out", "value"] == 1).all()
    assert cell(table, "top1", "animals-food")["value"] == pytest.approx(1 / (2 * PER_GROUP))


def test_mean_is_the_mean_of_the_hands_and_of_the_sets():
    manifest, words = world()
    table = measure(words, manifest, noisy(manifest, words), n_boot=20)
    wide = table.pivot(index=["measure", "pictures"], columns="hand", values="value")
    assert_allclose(wide["mean"], wide[list(BENCHMARK_HANDS)].mean(axis=1), rtol=1e-12)
    for what in (*DETECTORS, "oracle"):
        assert_allclose(wide.loc[what].loc["far"], wide.loc[what].loc[list(FAR_GROUPS)].mean(), rtol=1e-12)


def test_auroc_is_that_of_the_detector_and_of_the_metrics():
    manifest, words = world()
    features = noisy(manifest, words)
    table = measure(words, manifest, features, n_boot=5)
    sets = benchmarks(manifest, home_hands=("fluent-emoji",))["animals-food"]
    concepts = Concepts(sets.names, stacked(words, sets.names), logit_scale=words.logit_scale)
    for what in DETECTORS:
        detector = get_detector(what).fit(concepts)
        inside, outside = (detector.score_samples(features.of(part)) for part in (sets.id, sets.ood["activities"]))
        expected = ood_metrics(inside, outside)["auroc"]
        assert 0.5 < expected < 1
        assert cell(table, what, "activities", "fluent-emoji")["value"] == pytest.approx(expected, abs=1e-12)


def test_oracle_ranks_as_the_share_of_the_softmax_and_beats_a_detector_that_is_not_told():
    manifest, words = world()
    features = noisy(manifest, words)
    sets = benchmarks(manifest, home_hands=("twemoji",))["animals-food"]
    concepts = Concepts(sets.names, stacked(words, sets.names), logit_scale=5.0)
    others = stacked(words, [f"{group} {k}" for group in FAR_GROUPS for k in range(PER_GROUP)])
    logits = 5 * features.features.double() @ torch.cat([concepts.text, others]).double().T
    share = logits.softmax(-1)[:, : len(concepts.text)].sum(-1)
    scores = oracle(features.features, concepts, others)
    assert torch.allclose(scores.double().sigmoid(), share, atol=1e-6)
    table = measure(words, manifest, features, n_boot=5)
    assert cell(table, "oracle", "far")["value"] > cell(table, "max_logit", "far")["value"]


def test_concepts_are_drawn_with_all_their_hands():
    """Where the hands agree on every concept, four hands are no more evidence than one."""
    manifest, words = world(per_group=40)
    rng = np.random.default_rng(0)
    wrong = {name for name in words.text if rng.random() < 0.3}
    names = manifest.table["name"].map(lambda name: "symbols 0" if name in wrong else name)
    names = names.where(manifest.table["group"].isin(ID_GROUPS), manifest.table["name"])
    table = measure(words, manifest, drawn(manifest, words, names), n_boot=1000)
    mean = cell(table, "top1", "animals-food")
    one = cell(table, "top1", "animals-food", "twemoji")
    assert (mean["low"], mean["high"]) == pytest.approx((one["low"], one["high"]))
    expected = 2 * 1.96 * np.sqrt(mean["value"] * (1 - mean["value"]) / 80)  # a binomial share of 80 concepts
    assert mean["high"] - mean["low"] == pytest.approx(expected, rel=0.12)


def test_interval_covers_the_truth():
    manifest, words = world(per_group=20)
    inside, own = manifest.table["group"].isin(ID_GROUPS), manifest.table["name"]
    covered = 0
    for seed in range(10):
        right = np.random.default_rng(seed).random(len(manifest)) < 0.6  # in each hand another set of concepts
        features = drawn(manifest, words, own.where(right | ~inside, "symbols 0"))
        table = measure(words, manifest, features, n_boot=200)
        found = [cell(table, "top1", "animals-food", hand) for hand in BENCHMARK_HANDS]
        covered += sum(row["low"] <= 0.6 <= row["high"] for row in found)
    assert covered >= 34  # 38 of 40 expected; fewer than 34 has a chance of 2 %


def test_order_of_the_pictures_does_not_matter():
    manifest, words = world()
    features = noisy(manifest, words)
    table = measure(words, manifest, features, n_boot=30)
    shuffled = Manifest("made up", Path(), manifest.table.sample(frac=1, random_state=1).reset_index(drop=True))
    assert_frame_equal(measure(words, shuffled, features, n_boot=30), table)
    assert not measure(words, manifest, features, n_boot=30, seed=1)["low"].equals(table["low"])


def test_other_hands_are_left_aside():
    manifest, words = world()
    features = noisy(manifest, words)
    more = pd.concat([manifest.table, manifest.table.head(60).assign(hand="noto", id=[f"noto/{k}" for k in range(60)])])
    bigger = Manifest("made up", Path(), more.reset_index(drop=True))
    assert_frame_equal(measure(words, bigger, features, n_boot=10), measure(words, manifest, features, n_boot=10))


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (lambda t: t["hand"] == "openmoji", "no pictures to name: pass the pictures of all four hands"),
        (lambda t: (t["hand"] == "openmoji") & (t["group"] == "objects"), "no objects pictures: pass the pictures"),
    ],
)
def test_missing_pictures_are_named(gone, message):
    manifest, words = world()
    features = drawn(manifest, words)
    with pytest.raises(OodlibError, match=message):
        measure(words, manifest.select(~gone(manifest.table)), features, n_boot=5)
