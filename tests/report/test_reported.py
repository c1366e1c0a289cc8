"""Numbers that papers report: what can be checked of a copy, and setting a run's own numbers beside them."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oodlib.detectors import list_detectors
from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import fpr_at_recall, ood_metrics
from oodlib.report.cells import NBSP
from oodlib.report.reported import COLUMNS, KEY, READINGS, beside_run, load_reported
from oodlib.report.reported_tables import FOUR, MEAN, NOT_RUN, layout, side_by_side, spread

BOOK = Path(__file__).parents[2] / "book"
FILE = BOOK / "_data" / "reported.csv"
REPORTED = load_reported(FILE)
# Rows whose printed mean is not that of their printed cells, by (method, paper), with the gap in points.
OFF = {
    ("CLIPScope", "InterNeg"): 0.051,
    ("ANTS", "ANTS"): 0.026,
    ("CLIPN", "CoVer"): 0.088,
    ("GL-MCM", "GalLoP"): 0.101,
    ("GalLoP, GL-MCM", "GalLoP"): 0.076,
}
OPENAI = {"ViT-B-16": ("ViT-B-16", "openai")}
ROUNDED = {"GalLoP": 0.051, "MOOD": 0.051}  # they print one decimal


def run_rows(reported: pd.DataFrame, **changes) -> pd.DataFrame:
    """Results of a run that has found exactly the reported numbers, each with an interval of one point up and down."""
    shares = reported["value"] / 100
    rows = reported[["tuning", "shots", "id_set", "ood_set", "detector", "metric"]].assign(
        encoder="ViT-B-16", value=shares, low=shares - 0.01, high=shares + 0.01, parameters="{}"
    )
    return rows.assign(**changes)


def cells(**wanted: str) -> pd.DataFrame:
    """The rows of the file with these values."""
    same = np.logical_and.reduce([REPORTED[column] == value for column, value in wanted.items()])
    return REPORTED[same]


ZERO_SHOT = cells(table="zero-shot")
MCM = cells(label="MCM", source="zhang2024cover", encoder="ViT-B/16", table="zero-shot")


def test_every_mean_of_four_is_that_of_its_cells():
    by = [column for column in KEY if column != "ood_set"]
    printed = REPORTED[(REPORTED["read"] != "recomputed") | (REPORTED["metric"] != "fpr95_ood")]
    wide = printed.pivot(index=[*by, "paper"], columns="ood_set", values="value")[[*FOUR, MEAN]].dropna()
    assert len(wide) > 100
    off = (wide[list(FOUR)].mean(axis=1) - wide[MEAN]).abs()
    about = zip(*(wide.index.get_level_values(level) for level in ("label", "paper")), strict=True)
    allowed = [OFF.get(row, ROUNDED.get(row[1], 0.0101)) for row in about]
    assert (off <= allowed).all(), off[off > allowed]


@pytest.mark.parametrize(("label", "scores"), [("MCM", "mcm"), ("GL-MCM", "gl_mcm")])
def test_recomputed_numbers_can_be_computed_again(label, scores):
    with np.load(BOOK / "_data" / "setar_scores.npz", allow_pickle=False) as released:
        inside = released[f"{scores}_imagenet"]
        outside = [released[f"{scores}_{name}"] for name in ("inaturalist", "sun", "places", "texture")]
    rows = cells(label=label, read="recomputed").set_index(["metric", "ood_set"])["printed"]
    kept = [fpr_at_recall(inside, part, cut="nearest") for part in outside]
    caught = [fpr_at_recall(-part, -inside, cut="nearest") for part in outside]
    first = np.mean([fpr_at_recall(-part, -inside) for part in outside])
    areas = [ood_metrics(inside, part)["auroc"] for part in outside]
    means = {"fpr95": np.mean(kept), "fpr95_ood": first, "auroc": np.mean(areas)}
    for metric, shares in (("fpr95", kept), ("fpr95_ood", caught), ("auroc", areas)):
        assert [rows[metric, name] for name in (*FOUR, MEAN)] == [f"{100 * v:.2f}" for v in (*shares, means[metric])]


def test_every_source_is_in_the_bibliography():
    entries = set(re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(REPORTED["source"]) <= entries
    assert (REPORTED.groupby("source")["paper"].nunique() == 1).all(), "a source has one short name"


def test_the_convention_is_that_of_the_metric():
    told = {"fpr95": "ID positive", "fpr95_ood": "OOD positive", "fpr95_unknown": "not verified"}
    assert (REPORTED["convention"] == REPORTED["metric"].map(told).fillna("")).all()


def test_what_we_call_a_detector_is_one_or_is_none_of_ours():
    ours = {"argmax", "eoe-far", "odin", "", *list_detectors()}
    assert set(REPORTED["detector"]) <= ours


def test_a_missing_number_is_left_out_and_not_guessed():
    read = cells(label="m2-mix, MCM", ood_set=MEAN)
    assert list(read["metric"]) == ["fpr95"], "its AUROC could not be read"
    assert not REPORTED["label"].str.fullmatch("OLE").any(), "no table of OLE could be read"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": "101"}, "line 2 .* has a value that is no percentage"),
        ({"value": "not read"}, "has a value that is no percentage"),
        ({"metric": "fpr"}, "has a metric other than auroc, fpr95"),
        ({"read": "recall"}, "was read in another way than first-hand"),
        ({"source": ""}, "names no source"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, message):
    path = tmp_path / "reported.csv"
    pd.read_csv(FILE, dtype=str, keep_default_na=False).head(3).assign(**change).to_csv(path, index=False)
    with pytest.raises(OodlibError, match=message):
        load_reported(path)


def test_a_row_that_is_there_twice_and_a_file_that_is_none(tmp_path):
    table, path = pd.read_csv(FILE, dtype=str, keep_default_na=False), tmp_path / "reported.csv"
    pd.concat([table.head(2), table.head(1).assign(value="1.0")]).to_csv(path, index=False)
    with pytest.raises(OodlibError, match=r"line 4 .* is there twice"):
        load_reported(path)
    table.drop(columns="note").to_csv(path, index=False)
    with pytest.raises(OodlibError, match=f"must have the columns {COLUMNS[0]}"):
        load_reported(path)
    with pytest.raises(OodlibError, match="not a readable table"):
        load_reported(tmp_path / "absent.csv")


def test_printed_digits_are_kept():
    assert "94.40" in set(REPORTED["printed"])
    assert "42.8" in set(REPORTED["printed"])
    assert (REPORTED["printed"].astype(float) == REPORTED["value"]).all()


@settings(max_examples=30)
@given(st.sets(st.sampled_from(range(len(MCM))), min_size=1))
def test_exactly_what_was_run_is_found(places):
    beside = beside_run(ZERO_SHOT, run_rows(MCM.iloc[sorted(places)]), OPENAI)
    assert beside[list(COLUMNS)].equals(ZERO_SHOT[list(COLUMNS)]), "no reported row is lost, doubled or changed"
    theirs = beside.loc[MCM.index]
    assert list(np.flatnonzero(theirs["here"].notna())) == sorted(places)
    found = theirs["here"].dropna()
    np.testing.assert_allclose(found, MCM.loc[found.index, "value"] / 100)


@pytest.mark.parametrize(
    ("changes", "models", "found"),
    [
        ({}, OPENAI, True),
        ({"encoder": "ViT-B-16-quickgelu"}, {"ViT-B-16-quickgelu": ("ViT-B-16-quickgelu", "openai")}, True),
        ({"id_set": "imagenet-1k"}, OPENAI, True),
        ({"parameters": '{"temperature": 1.0}'}, OPENAI, True),
        ({"parameters": '{"temperature": null}'}, OPENAI, True),
        ({"parameters": '{"temperature": 0.01}'}, OPENAI, False),
        ({}, {"ViT-B-16": ("ViT-B-16", "laion2b_s34b_b88k")}, False),
        ({}, {}, False),
        ({"encoder": "ViT-B-32"}, {"ViT-B-32": ("ViT-B-32", "openai")}, False),
        ({"tuning": "coop"}, OPENAI, False),
        ({"detector": "msp"}, OPENAI, False),
        ({"id_set": "ImageNet-100"}, OPENAI, False),
        ({"metric": "fpr95_ood"}, OPENAI, False),
        ({"encoder": "ViT-B-16 openai"}, {"ViT-B-16 openai": ("ViT-B-16", "openai")}, True),
        ({"encoder": "ViT-B-16 random"}, {"ViT-B-16 random": ("ViT-B-16", "random")}, False),
    ],
)
def test_a_cell_is_the_same_only_if_everything_is(changes, models, found):
    rows = MCM[MCM["metric"] == "fpr95"]
    beside = beside_run(rows, run_rows(rows, **changes), models)
    assert beside["here"].notna().all() == found
    assert beside["here"].notna().any() == found


def test_a_number_with_an_unknown_reading_is_never_set_beside_ours():
    unknown = cells(metric="fpr95_unknown")
    assert len(unknown)
    for metric in ("fpr95", "fpr95_ood"):
        assert beside_run(unknown, run_rows(unknown, metric=metric), OPENAI)["here"].isna().all()


@pytest.mark.parametrize(("ours", "theirs"), [("nice", "the nice {}"), ("photo", "A photo of a"), ("bare", None)])
def test_a_number_made_with_other_prompts_is_another_cell(ours, theirs):
    rows = cells(label="NegLabel", ood_set=MEAN, metric="auroc", table="prompts")
    assert len(rows) == 8, "the same method with eight prompts"
    cell = run_rows(rows.head(1), parameters=json.dumps({"prompts": ours}))
    found = beside_run(rows, cell, OPENAI)
    assert set(found.loc[found["here"].notna(), "prompts"].str.lower()) <= {theirs and theirs.lower(), "the nice"}
    assert found["here"].notna().sum() == (theirs is not None)


def test_differences_come_with_their_interval():
    run = run_rows(MCM, value=0.9, low=0.88, high=0.91)
    cell = run[(run["ood_set"] == "SUN") & (run["metric"] == "auroc")]
    table = side_by_side(beside_run(REPORTED, cell, OPENAI)).set_index(["source", "OOD set", "metric"])
    ours = table.loc[("CoVer {cite:p}`zhang2024cover`, tables 2 and 3", "SUN", "auroc")]
    assert ours["reported"] == "92.57"
    assert str(ours["this run"]).replace(NBSP, " ") == "90.0 [88.0, 91.0]"
    assert str(ours["difference"]).replace(NBSP, " ") == "-2.6 [-4.6, -1.6]"
    sources = set(table.index.get_level_values("source"))
    assert len(sources) > 3, "every source that reports the cell"
    assert not any("clipn" in source for source in sources), "and no other method"
    beside = table.loc[("CoVer {cite:p}`zhang2024cover`, tables 2 and 3", "Places", "auroc")]
    assert (beside["this run"], beside["difference"]) == (NOT_RUN, "–"), "a cell that was not run says so"


def test_two_runs_of_one_cell_are_two_lines():
    cell = MCM[(MCM["ood_set"] == "SUN") & (MCM["metric"] == "auroc")]
    run = pd.concat([run_rows(cell, parameters=f'{{"top": {k}}}') for k in (1, 2)])
    table = side_by_side(beside_run(cell, run, OPENAI))
    assert list(table["parameters"]) == ['`{"top": 1}`', '`{"top": 2}`']


def test_the_column_of_this_run_appears_with_the_first_match():
    rows = cells(table="zero-shot")
    without = beside_run(rows, run_rows(MCM, encoder="pocket"), {"pocket": ("pocket", "")})
    assert "this run" not in layout(without).columns
    assert "this run" not in layout(rows).columns
    assert side_by_side(without).empty
    found = layout(beside_run(rows, run_rows(MCM[MCM["ood_set"] == "SUN"]), OPENAI))
    mine = found[found["source"].str.contains("zhang2024cover") & (found["method"] == "MCM")]
    assert list(mine["this run"]) == ["2 of 10 numbers"]
    assert (found.loc[found["method"] == "CSP", "this run"] == NOT_RUN).all()


@pytest.mark.parametrize("name", list(dict.fromkeys(REPORTED["table"])))
def test_a_table_shows_every_number_of_its_rows(name):
    rows = cells(table=name)
    table = layout(rows)
    text = " ".join(table.astype(str).to_numpy().ravel()).replace(NBSP, " ")
    shown = re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", text)
    assert not set(rows["printed"]) - set(shown)
    assert set(re.findall(r"cite:p\}`(\w+)`", text)) == set(rows["source"])
    assert not table.isna().any().any()


def test_two_readings_of_the_same_scores_are_two_lines():
    table = layout(cells(label="MCM", source="li2024setar"))
    assert [text.split(",")[0] for text in table["convention"]] == [READINGS["fpr95"], READINGS["fpr95_ood"]]
    assert [cell.split(NBSP)[-1] for cell in table[MEAN]] == ["43.09", "37.22"]


def test_the_sign_of_test_time_methods():
    table = layout(cells(table="zero-shot"))
    signed = set(table.loc[table["method"].str.endswith("⇄"), "method"].str.removesuffix(" ⇄"))
    assert {"CLIPScope", "AdaNeg", "TANL", "ANTS", "InterNeg"} <= signed
    assert signed.isdisjoint({"MCM", "NegLabel", "CSP", "EOE", "CLIPN"})


def test_spread_shows_untuned_methods_of_several_sources():
    same = spread(REPORTED)
    assert same.groupby("label")["source"].nunique().min() > 1
    assert next(iter(same["label"])) == "MCM"
    assert set(same["tuning"]) == {"none"}
    assert set(same["ood_set"]) == {MEAN}
