"""A finding says what its paired interval allows, and no more."""

import json

import numpy as np
import pandas as pd
import pytest

from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import bootstrap_metrics, ood_metrics
from oodlib.report.cells import NBSP
from oodlib.report.comparison import Comparison
from oodlib.report.findings import Finding, write_findings

KINDS = {"cars": "far", "chairs": "far", "wolves": "near"}


def scores(**shift: float) -> pd.DataFrame:
    """Scores of some detectors, which tell the far sets apart by so much; the near set looks like the ID set."""
    rng = np.random.default_rng(0)
    noise = {part: rng.normal(size=60) for part in ("pets", *KINDS)}
    far = {"cars", "chairs"}
    frames = [
        pd.DataFrame({"id_set": "pets", "set": part, "detector": name, "score": values - by * (part in far)})
        for name, by in shift.items()
        for part, values in noise.items()
    ]
    return pd.concat(frames, ignore_index=True)


def compared(frame: pd.DataFrame, **changes) -> Comparison:
    detectors = changes.pop("detectors", list(dict.fromkeys(frame["detector"])))
    return Comparison(frame, "pets", KINDS, detectors, n_boot=200, **changes)


def of(frame: pd.DataFrame, name: str, part: str) -> np.ndarray:
    return frame[(frame["detector"] == name) & (frame["set"] == part)]["score"].to_numpy()


@pytest.mark.parametrize(
    ("shift", "metric", "verb", "begins"),
    [
        ({"a": 3.0, "b": 1.0}, "auroc", "is worth", "`a` instead of `b` is worth "),
        ({"a": 1.0, "b": 3.0}, "auroc", "costs", "`a` instead of `b` costs "),
        ({"a": 1.0, "b": 1.0}, "auroc", "cannot be told apart", "`a` and `b` cannot be told apart on "),
        ({"a": 3.0, "b": 1.0}, "fpr95", "is worth", "`a` instead of `b` is worth "),
        ({"a": 1.0, "b": 3.0}, "fpr95", "costs", "`a` instead of `b` costs "),
    ],
)
def test_the_verb_follows_from_the_interval(shift, metric, verb, begins):
    found = compared(scores(**shift))
    one = found.between("a", "b", found.sets("far"), metric)
    assert one.verb == verb
    assert str(one).startswith(begins)
    assert "the far sets *cars* and *chairs*" in str(one)
    assert "-" not in str(one), "a verb that has a direction needs no sign"


def test_a_detector_beside_itself_loses_or_gains():
    found = compared(scores(a=3.0, b=0.0))
    falls = found.across("a", ("cars", "chairs"), ("wolves",))
    assert str(falls).startswith("from the far sets *cars* and *chairs* to the near set *wolves*, `a` loses ")
    rises = found.across("a", ("wolves",), ("cars", "chairs"))
    assert rises.verb == "gains"
    assert falls.points == rises.points
    assert found.across("b", ("cars",), ("wolves",)).verb == "cannot be said to lose or gain"


def test_the_difference_is_that_of_the_means_and_its_interval_is_paired():
    frame = scores(a=2.0, b=1.0)
    one = compared(frame).between("a", "b", ("cars", "chairs"))
    each = {
        name: np.mean([ood_metrics(of(frame, name, "pets"), of(frame, name, p))["auroc"] for p in ("cars", "chairs")])
        for name in "ab"
    }
    assert one.value == pytest.approx(each["a"] - each["b"])
    assert one.low < one.value < one.high
    single = compared(frame).between("a", "b", ("cars",))
    pairs = {name: (of(frame, name, "pets"), of(frame, name, "cars")) for name in "ab"}
    boot = bootstrap_metrics(pairs, n_boot=200)
    assert (single.value, single.low, single.high) == boot.difference("a", "b")["auroc"]
    apart = boot.interval("a")["auroc"], boot.interval("b")["auroc"]
    assert single.high - single.low < apart[0][1] - apart[1][0], "narrower than of two separate draws"


def test_sets_that_were_named_need_not_be_again():
    one = compared(scores(a=3.0, b=1.0)).between("a", "b", ("cars", "chairs"))
    assert one.said("these sets").endswith("points of AUROC on these sets")


def test_a_description_is_no_code():
    one = compared(scores(**{"ole": 3.0, "ole without it": 3.0})).between("ole", "ole without it", ("cars",))
    assert str(one).startswith("`ole` and *ole without it* cannot be told apart on the far set *cars* (")


def test_a_mean_has_its_interval():
    found = compared(scores(a=1.0))
    value, low, high = (float(text) for text in found.of("a", ("cars", "wolves")).texts)
    assert low < value < high


def test_missing_scores_are_named():
    with pytest.raises(OodlibError, match=r"c has no scores of 'pets' under 'pets'"):
        compared(scores(a=1.0), detectors=["a", "c"])


def test_what_is_written_can_be_read_as_a_finding_again(tmp_path):
    found = compared(scores(a=3.0, b=1.0))
    one = found.between("a", "b", found.sets("far"))
    write_findings([one], tmp_path / "page.json", scores="scores/made.parquet")
    (row,) = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    assert row.pop("scores") == "scores/made.parquet"
    assert (row["kinds"], row["n_boot"], row["seed"]) == (KINDS, 200, 0)
    assert (row.pop("verb"), row.pop("points")) == (one.verb, one.points)
    row |= {name: tuple(row[name]) for name in ("sets", "others")}
    assert Finding(**row) == one
    assert NBSP in one.points


def test_a_set_that_has_the_name_of_its_kind_is_named_once():
    frame = scores(a=3.0, b=1.0).replace({"set": {"wolves": "near"}})
    found = Comparison(frame, "pets", {"cars": "far", "near": "near"}, ["a", "b"], n_boot=20)
    assert " on the *near* set (" in str(found.between("a", "b", ["near"]))


def test_a_spread_is_the_best_minus_the_worst():
    found = compared(scores(a=3.0, b=1.5, c=1.0))
    sets = found.sets("far")
    spread = found.spread(["a", "b", "c"], sets)
    assert spread.value == pytest.approx(found.between("a", "c", sets).value)
    assert spread.low < spread.value < spread.high
    assert found.spread(["b"], sets).value == 0
    assert found.spread(["c", "b", "a"], sets) == spread


def test_two_spreads_are_compared_on_the_same_pictures():
    found = compared(scores(a=3.0, b=1.0, c=1.6, d=1.5))
    sets = found.sets("far")
    narrower = found.spread_between(["c", "d"], ["a", "b"], sets)
    assert narrower.value == pytest.approx(found.spread(["c", "d"], sets).value - found.spread(["a", "b"], sets).value)
    assert narrower.high < 0, "1.6 and 1.5 lie nearer to each other than 3 and 1"
    same = found.spread_between(["a", "b"], ["b", "a"], sets)
    assert (same.value, same.low, same.high) == (0, 0, 0)
