"""What the pages claim first, computed again from the kept scores."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from oodlib.evaluation import read_results
from oodlib.report.cells import NBSP
from oodlib.report.comparison import Comparison
from oodlib.report.findings import Finding

pytestmark = [pytest.mark.notebook, pytest.mark.slow]
COMPARING = {  # pages whose finding compares detectors
    *("zero_shot", "outlier_words", "ole", "outlier_methods", "outlier_failures"),
    *("embedding_spaces", "masked_pictures", "tuning", "made_outliers", "pseudo_ood"),
    *("pictures_with_text", "use_it", "limits", "change_one_thing"),
}


@pytest.fixture(params=sorted(COMPARING))
def page(request, built) -> tuple[str, list[dict]]:
    """What a page shows as Markdown, and its findings."""
    book = json.loads((built / "notebooks" / f"{request.param}.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in book["cells"] for output in cell.get("outputs", [])]
    shown = "\n".join("".join(output.get("data", {}).get("text/markdown", "")) for output in outputs)
    return shown, json.loads((built / "findings" / f"{request.param}.json").read_text(encoding="utf-8"))


def finding(row: dict) -> Finding:
    kept = {name: row[name] for name in Finding.__dataclass_fields__}
    return Finding(**kept | {name: tuple(row[name]) for name in ("sets", "others")})


def mean_auroc(scores: pd.DataFrame, row: dict, detector: str, sets: list[str]) -> float:
    own = scores[(scores["id_set"] == row["id_set"]) & (scores["detector"] == detector)]
    inside = own[own["set"] == row["id_set"]]["score"]
    areas = []
    for part in sets:
        both = pd.concat([inside, own[own["set"] == part]["score"]])
        areas.append(roc_auc_score(np.arange(len(both)) < len(inside), both))
    return float(np.mean(areas))


def mean_spread(results: pd.DataFrame, row: dict) -> float:
    """Best minus worst score, averaged over methods, minus best minus worst method, averaged over scores."""
    own = results[(results["id_set"] == row["id_set"]) & (results["metric"] == "auroc")]
    own = own[own["ood_set"].isin(row["sets"]) & own["detector"].isin(["max_logit", "msp", "mcm", "energy"])]
    own = own[own["shots"].isin([0, own["shots"].max()])]
    values = own.groupby(["tuning", "detector"])["value"].mean().unstack().to_numpy()
    return float(np.ptp(values, axis=1).mean() - np.ptp(values, axis=0).mean())


def mean_gain(results: pd.DataFrame, row: dict) -> float:
    """What one source of outliers is worth over none, averaged over losses and scores, with as many shots."""
    own = results[(results["id_set"] == row["id_set"]) & (results["metric"] == "auroc")]
    own = own[own["ood_set"].isin(row["sets"]) & (own["shots"] > 0)]
    (first, called), (second, _) = (row[name].rsplit(", ", 1) for name in ("first", "second"))
    own = own[own["shots"] == (own["shots"].min() if called == "few-shot" else own["shots"].max())]
    value = own.groupby("tuning")["value"].mean()
    plain = {"energy": "exposure", "exposure": "exposure", "logit_norm": "logit_norm"}  # the first term alone
    return float(np.mean([value[f"{first}, {loss}"] - value[f"{second}, {alone}"] for loss, alone in plain.items()]))


def mean_worth(results: pd.DataFrame, row: dict) -> float:
    """What one source of changed texts is worth over another training, averaged over a family of scores."""
    family = {"distances": ["mahalanobis", "knn"], "logits": ["energy", "msp"]}
    own = results[(results["metric"] == "auroc") & results["ood_set"].isin(row["sets"]) & (results["shots"] > 0)]
    (first, read_by), (second, _) = (row[name].rsplit(", ", 1) for name in ("first", "second"))
    value = own[own["detector"].isin(family[read_by])].groupby("tuning")["value"].mean()
    return float(value[first] - value[second])


def mean_of_parts(results: pd.DataFrame, row: dict) -> float:
    """What one part of a detector of pairs is worth over another, with the fewest labels."""
    own = results[(results["metric"] == "auroc") & results["ood_set"].isin(row["sets"])]
    fewest = own.loc[own["shots"] > 0, "shots"].min()
    trained = {"both": "weight 1", "match": "weight 1", "classifier": "weight 0"}
    values = [
        own[(own["tuning"] == trained.get(part, "none")) & own["shots"].isin([0, fewest]) & (own["detector"] == part)]
        for part in (row["first"], row["second"])
    ]
    assert all(len(value) == len(row["sets"]) for value in values)
    return float(values[0]["value"].mean() - values[1]["value"].mean())


AGAIN = {"made_outliers": mean_gain, "pseudo_ood": mean_worth, "pictures_with_text": mean_of_parts}


def test_every_difference_is_that_of_the_kept_scores(page, built):
    _, rows = page
    assert rows
    for row in rows:
        kept = pd.read_parquet(built / row["scores"])
        if row["scores"].startswith("results/"):
            again = AGAIN.get(Path(row["scores"]).stem, mean_spread)
            assert row["value"] == pytest.approx(again(kept, row))
        elif row["metric"] == "auroc":
            first = mean_auroc(kept, row, row["first"], row["sets"])
            assert row["value"] == pytest.approx(first - mean_auroc(kept, row, row["second"], row["others"]))


def test_every_interval_is_drawn_again_alike(page, built):
    for row in page[1]:
        if row["scores"].startswith("results/"):
            continue  # its draws are of concepts and seeds, which take the trials themselves
        detectors = [row["first"], row["second"]]
        kept = pd.read_parquet(built / row["scores"])
        again = Comparison(kept, row["id_set"], row["kinds"], detectors, n_boot=row["n_boot"], seed=row["seed"])
        if row["first"] == row["second"]:
            found = again.across(row["first"], row["sets"], row["others"], row["metric"])
        else:
            found = again.between(row["first"], row["second"], row["sets"], row["metric"])
        assert (found.value, found.low, found.high) == pytest.approx((row["value"], row["low"], row["high"]))


def test_every_verb_follows_from_its_interval(page):
    for row in page[1]:
        better = (row["low"] > 0) - (row["high"] < 0)
        better *= -1 if row["metric"] == "fpr95" else 1
        across = row["first"] == row["second"]
        said = {
            1: ("is worth", "loses"),
            -1: ("costs", "gains"),
            0: ("cannot be told apart", "cannot be said to lose or gain"),
        }
        assert row["verb"] == said[better][across]


def test_the_page_says_what_was_found_and_no_other_difference(page):
    shown, rows = page
    opening = next(part for part in shown.split("\n") if part.startswith("**The finding.**"))
    number = rf"-?\d+\.\d+{NBSP}\[[^\]]+\] points"
    recorded = {finding(row).points for row in rows}
    assert {row["points"] for row in rows} == recorded
    assert set(re.findall(number, opening)) <= {re.match(number, one)[0] for one in recorded}
    for row in rows:
        if row["points"] in opening and row["first"] != "score":
            assert row["verb"] in opening


def test_a_detector_has_one_number_in_findings_and_results(built):
    """The scores behind findings are those behind the tables, wherever a page of tables has the same detector."""
    results = read_results(built / "results")
    results = results[(results["metric"] == "auroc") & (results["tuning"] == "none")]
    value = results.set_index(["id_set", "ood_set", "detector"])["value"]
    value = value[~value.index.duplicated()]
    compared = 0
    for path in sorted((built / "findings").glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            if row["scores"] not in ("scores/zero_shot.parquet", "scores/outlier_methods.parquet"):
                continue
            kept = pd.read_parquet(built / row["scores"])
            for part in row["sets"]:
                found = mean_auroc(kept, row, row["first"], [part])
                assert found == pytest.approx(value[row["id_set"], part, row["first"]]), (path.name, part)
                compared += 1
    assert compared
