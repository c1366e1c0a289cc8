"""The data card says what the manifest says."""

import pytest

from oodlib.datasets import card, emojishift
from oodlib.datasets.emoji_sources import HANDS


@pytest.fixture(scope="module")
def manifest():
    return emojishift.load()


def test_sources_name_every_hand_with_author_and_licence(manifest):
    report = card.source_report(manifest)
    assert [hand.split("]")[0].strip("[") for hand in report["hand"]] == list(HANDS)
    assert report["pictures"].sum() == len(manifest)
    assert set(report["licence"]) <= {"Apache-2.0", "CC-BY-4.0", "CC-BY-SA-4.0", "MIT"}
    assert (report["author"].str.len() > 0).all()


def test_groups_add_up(manifest):
    report = card.group_report(manifest).set_index("group")
    assert (report.drop(index="all").sum() == report.loc["all"]).all()
    assert report.loc["all"].drop("concepts").sum() == len(manifest)
    assert report.loc["all", "concepts"] == manifest.table["concept"].nunique()


def test_dropped_pictures_are_all_counted():
    dropped = emojishift.dropped()
    report = card.dedup_report(dropped)
    assert report[["ambiguous", "repeated"]].to_numpy().sum() == len(dropped)


def test_sets_are_the_benchmarks(manifest):
    benchmarks = emojishift.benchmarks(manifest)
    report = card.set_report(benchmarks)
    assert len(report) == sum(1 + len(benchmark.ood) for benchmark in benchmarks.values())
    near = report.set_index("set").loc["near"]
    assert near["kind"] == "near"
    assert near["pictures"] == len(benchmarks["animals-food"].ood["near"])


def test_by_hand_goes_hand_by_hand(manifest):
    rows = card.by_hand(manifest, ["tiger", "key"]).table
    assert list(rows["name"]) == ["tiger", "key"] * len(HANDS)
    assert list(dict.fromkeys(rows["hand"])) == list(HANDS)
    with pytest.raises(KeyError, match="dragon fruit"):
        card.by_hand(manifest, ["dragon fruit"])
