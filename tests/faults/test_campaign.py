"""The campaign of faults does what it says, and sees what it is there to see."""

import re
import shutil
from pathlib import Path

import pytest

from oodlib.datasets import emojishift
from tools.campaign import OUTCOMES, Campaign, Said, _outcome, main


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (Said("same", frozenset({"note: old"})), "survived"),
        (Said("same", frozenset({"note: old", "note: made again"})), "repaired"),
        (Said(error="error: kept/mine.safetensors is damaged: make it again"), "refused"),
        (Said(error="error: something went wrong"), "lost"),
        (Said(error="KeyError('mine.safetensors')", expected=False), "lost"),
        (Said("other", frozenset({"note: new"})), "lost"),
        (Said("other", frozenset({"note: old"})), "silent"),
    ],
)
def test_an_outcome_has_one_name(said, outcome):
    assert _outcome(said, Said("same", frozenset({"note: old"})), Path("kept/mine.safetensors")) == outcome


@pytest.mark.slow
def test_damaged_guards_are_made_again_or_refused_and_processes_leave_what_the_next_one_can_use(tmp_path, monkeypatch):
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "usual"))
    campaign = Campaign(tmp_path, seed=3)
    every = campaign.kinds
    campaign.kinds = [kind for kind in every if "guards" in kind.name]
    for way in ("flip", "flip", "cut", "empty"):
        campaign.damage(way)
    campaign.kinds = every
    for way in ("killed", "full disk"):
        campaign.process(way)
    assert not campaign.bad
    assert sum(campaign.counts["saved guards"].values()) == campaign.counts["saved guards"]["refused"]
    assert campaign.counts["killed"] == {"survived": 1}
    assert campaign.counts["full disk, then space"] == {"survived": 1}


@pytest.mark.slow
def test_tables_of_drawings_are_made_again_without_drawing(tmp_path, monkeypatch):
    emojishift.load()
    drawn = emojishift.folder()
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "usual"))
    emojishift.folder().mkdir(parents=True)
    for file in filter(Path.is_file, drawn.iterdir()):
        shutil.copy(file, emojishift.folder() / file.name)
    campaign = Campaign(tmp_path, seed=3)
    campaign.kinds = [kind for kind in campaign.kinds if kind.name == "manifests"]
    for way in ("flip", "cut", "empty", "folder"):
        campaign.damage(way)
    assert not campaign.bad
    assert campaign.counts == {"manifests": {"repaired": 4}}


@pytest.mark.slow
def test_so_many_flips_are_so_many_lines_of_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OODLIB_HOME", str(tmp_path / "usual"))
    code = main(["--flips", "5", "--seed", "1"])
    shown = capsys.readouterr().out
    assert shown.splitlines()[0].split() == list(OUTCOMES)
    numbers = [int(number) for number in re.search(r"^all +(.*)$", shown, re.M)[1].split()]
    assert sum(numbers) == 5
    assert code == (1 if sum(numbers[-2:]) else 0)
