"""The tables of the page on photographs: cards, protocols, and what came of them."""

import json

import pandas as pd
import pytest

from oodlib.datasets import photos
from oodlib.evaluation.results import COLUMNS
from oodlib.experiments.profiles import Profile
from oodlib.report.cells import NBSP
from oodlib.report.pages import table_markdown
from oodlib.report.protocol_tables import NOT_VERIFIED, card_table, cells, contamination, found_table, protocol_table

PLAIN = {
    "title": "One",
    "papers": ["ming2022delving", "zhang2024cover"],
    "encoders": ["small", "large"],
    "prompts": "photo",
    "names": "clean",
    "sets": {"imagenet-1k": {"far": ["sun", "places"]}, "imagenet-10": {"hard": ["imagenet-20"]}},
    "detectors": {"mcm": {}, "msp": {}},
}
TUNED = PLAIN | {"encoders": ["small"], "words": "far", "tuning": {"method": "coop", "shots": [1, 4, 16]}}


@pytest.fixture
def run() -> Profile:
    models = {label: {"name": "RN50", "pretrained": "random"} for label in ("small", "large")}
    return Profile(
        name="mine",
        title="Mine",
        encoder=models["small"],
        dataset="photos",
        photos={"root": "TABLES_ROOT", "sets": {"imagenet-10": {"hard": ["imagenet-20"]}}},
        templates="photo",
        detectors={"mcm": {}},
        id_sets=["imagenet-10"],
        n_boot=10,
        encoders=models,
        protocols={"plain": PLAIN, "tuned": TUNED},
    )


def test_every_set_has_a_row_and_nothing_unknown_is_made_up():
    table = card_table(photos.names()).set_index("set")
    assert list(table.index) == [f"`{name}`" for name in photos.names()]
    assert table.loc["`imagenet-1k`", "pictures"] == "50,000"
    assert table.loc["`textures`", "download"] == f"625.2{NBSP}MB"
    assert table.loc["`cub-200`", "download"] == f"1.2{NBSP}GB"
    assert table.loc["`cub-100`", "download"] == "part of `cub-200`"
    assert table.loc["`ninco`", "download"] == f"about 674.4{NBSP}MB"
    assert table.loc["`sun`", "download"] == NOT_VERIFIED
    for name in photos.names():
        card, row = photos.card(name), table.loc[f"`{name}`"]
        assert (row["licence"] == NOT_VERIFIED) == (not card.licence)
        assert (row["pictures"] == NOT_VERIFIED) == (card.pictures is None)
        assert row["source"].startswith(f"[{card.title}](http")
        assert ("{cite:p}" in row["source"]) == bool(card.source.key)
    assert not table.isna().any(axis=None)
    assert table_markdown(table.reset_index(), name="x", caption="x").count("\n| `") == len(table)


def test_what_is_known_to_be_in_a_set_and_should_not_is_listed():
    lines = contamination(["places", "ssb-hard", "mnist"])
    told = [name for name in ("places", "ssb-hard", "mnist") if photos.card(name).contamination]
    assert [line.split("`")[1] for line in lines] == told
    assert all(line.startswith("* `") and line.endswith(".") for line in lines)
    assert photos.card(told[0]).contamination[0] in lines[0]


def test_cells_are_every_combination(run):
    assert cells(run) == 2 * 3 * 2 + 3 * 3 * 2, "encoders times pairs times detectors, and shots"


def test_a_protocol_has_a_row_for_each_encoder(run):
    reasons = {("plain", "large"): "not there: sun", ("tuned", "small"): "not there: places"}
    table = protocol_table(run, reasons, [("plain", "small"), ("tuned", "small")])
    assert list(zip(table["protocol"], table["encoder"], strict=True)) == [
        ("`plain`", "small"),
        ("`plain`", "large"),
        ("`tuned`", "small"),
    ]
    assert table["state"].tolist() == ["run", "not run here: not there: sun", "run: not there: places"]
    first, last = table.iloc[0], table.iloc[2]
    assert first["sets"] == "imagenet-1k → sun, places; imagenet-10 → imagenet-20"
    assert first["detectors"] == "`mcm`, `msp`"
    assert first["papers"] == "{cite:p}`ming2022delving,zhang2024cover`"
    assert (first["words"], last["words"]) == ("–", "far")
    assert (first["tuning"], last["tuning"]) == ("–", "`coop`, 1, 4, 16 shots")
    assert protocol_table(run, {}, [])["state"].tolist() == ["not run here"] * 3


def rows(**changes) -> list[dict]:
    told = {"protocol": "plain", "temperature": 1.0}
    shared = dict.fromkeys(COLUMNS, "") | {"encoder": "RN50 random", "tuning": "none", "shots": 0, "seed": 0}
    shared |= {"id_set": "a", "ood_set": "b", "detector": "mcm", "parameters": json.dumps(told), **changes}
    values = {"auroc": 0.9, "fpr95": 0.4, "fpr95_ood": 0.5, "aupr_in": 0.1}
    return [shared | {"metric": m, "value": v, "low": v - 0.1, "high": v + 0.05} for m, v in values.items()]


def test_what_was_found_has_a_row_a_cell_in_the_order_of_the_run():
    tuned = {"tuning": "coop", "shots": 4, "parameters": json.dumps({"protocol": "tuned"})}
    made = pd.DataFrame(
        [
            *rows(ood_set="z"),
            *rows(),
            *rows(**tuned, seed=1),
            *rows(**tuned, seed=0),
            *rows(parameters=json.dumps({"protocol": "plain", "preprocess": "mcm"})),
            rows(ood_set="", detector="argmax")[0] | {"metric": "id_accuracy"},
        ]
    )
    table = found_table(made)
    assert table["OOD set"].tolist() == ["z", "b", "b", "b", "b"]
    assert table["protocol"].tolist() == ["`plain`", "`plain`", "`tuned`", "`tuned`", "`plain`"]
    assert table["tuning"].tolist()[1:4] == ["–", "`coop`, 4 shots, seed 1", "`coop`, 4 shots, seed 0"]
    assert table.loc[0, "AUROC"].texts == ("90.0", "80.0", "95.0")
    assert list(table.columns) == [
        *("protocol", "encoder", "tuning", "ID set", "OOD set", "detector", "AUROC", "fpr95", "fpr95_ood"),
    ]
