"""What chapters show of results and scores."""

import numpy as np
import pandas as pd
import pytest

from oodlib.datasets.base import Manifest, union
from oodlib.report.cells import NBSP
from oodlib.report.tables import best_by_set, extremes, pair_table, score_frame


def results(**changes) -> pd.DataFrame:
    rows = [
        {"id_set": "pets", "ood_set": s, "ood_kind": k, "n_ood": n, "detector": d, "metric": m, "value": v}
        for s, k, n in (("cars", "far", 30), ("wolves", "near", 20))
        for d, v in (("mcm", 0.8), ("energy", 0.9))
        for m in ("auroc", "fpr95", "fpr95_ood", "aupr_in")
    ]
    frame = pd.DataFrame(rows).assign(encoder="e", tuning="none", shots=0, seed=0, parameters="{}", transductive=False)
    frame = frame.assign(low=frame["value"] - 0.1, high=frame["value"] + 0.05)
    return frame.assign(**changes)


def manifest(*ids: str) -> Manifest:
    rows = [{"id": i, "uri": f"{i}.png", "label": i.upper(), "split": "s", "sha256": i} for i in ids]
    return Manifest("made-up", None, pd.DataFrame(rows))


def test_pair_table_shows_every_score_with_its_interval():
    table = pair_table(results(), "pets")
    assert list(table.columns) == ["OOD set", "detector", "AUROC", "fpr95", "fpr95_ood"]
    assert list(table["OOD set"]) == ["cars (far, 30)"] * 2 + ["wolves (near, 20)"] * 2
    assert list(table["detector"]) == ["mcm", "energy"] * 2
    assert str(table["AUROC"][0]) == f"80.0{NBSP}[70.0,{NBSP}85.0]"


def test_pair_table_keeps_the_rows_of_a_set_together_when_several_files_have_some():
    more = results().assign(detector=lambda table: table["detector"] + "-2")
    table = pair_table(pd.concat([results(), more]), "pets")
    assert list(table["OOD set"]) == ["cars (far, 30)"] * 4 + ["wolves (near, 20)"] * 4
    assert list(table["detector"]) == ["mcm", "energy", "mcm-2", "energy-2"] * 2


def test_pair_table_adds_a_column_only_for_what_differs():
    two = pd.concat([results(), results(tuning="coop")])
    assert list(pair_table(two, "pets").columns) == ["OOD set", "tuning", "detector", "AUROC", "fpr95", "fpr95_ood"]
    two = pd.concat([results(), results(parameters='{"temperature": 2}')])
    assert "parameters" in pair_table(two, "pets").columns


def test_pair_table_ends_with_the_page_that_made_a_row():
    both = [results(page="one"), results(page="two")]
    table = pair_table(pd.concat(both), "pets")
    assert list(table.columns) == ["OOD set", "detector", "AUROC", "fpr95", "fpr95_ood", "page"]
    assert list(table["page"][:2]) == ["one", "one"], "rows of a page go together"
    assert len(table) == 8


def test_pair_table_marks_methods_that_look_at_the_test_pictures():
    every = results()
    name = every["detector"].iloc[0]
    every.loc[every["detector"] == name, "transductive"] = True
    shown = set(pair_table(every, "pets")["detector"])
    assert f"{name} ⇄" in shown
    assert not any(other.endswith("⇄") for other in shown - {f"{name} ⇄"})


def test_pair_table_refuses_what_it_cannot_tell_apart():
    with pytest.raises(ValueError, match="duplicate"):
        pair_table(pd.concat([results(), results()]), "pets")


def test_best_by_set():
    assert best_by_set(results(), "auroc") == "cars 90.0 % (energy); wolves 90.0 % (energy)"


def test_union_has_each_picture_once_in_a_fixed_order():
    first, second = manifest("b", "a"), manifest("c", "b")
    assert list(union([first, second]).table["id"]) == ["a", "b", "c"]
    assert union([first, second]).digest == union([second, first]).digest


def test_score_frame_keeps_each_score_with_its_picture():
    sets = {"in": manifest("a", "b"), "out": manifest("c")}
    frame = score_frame(sets, {"mcm": {"in": np.array([0.1, 0.2]), "out": np.array([0.3])}})
    rows = [("in", "mcm", "a", 0.1), ("in", "mcm", "b", 0.2), ("out", "mcm", "c", 0.3)]
    assert list(frame.itertuples(index=False, name=None)) == rows


def test_extremes_put_the_extreme_one_first():
    sets = {"x": manifest("a", "b"), "y": manifest("c", "d"), "unused": manifest("e")}
    scores = {"x": [0.1, 0.9], "y": [0.5, 0.3]}
    assert list(extremes(sets, scores, 3, highest=True).table["id"]) == ["b", "c", "d"]
    assert list(extremes(sets, scores, 2, highest=False).table["id"]) == ["a", "d"]
