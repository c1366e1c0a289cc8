"""The CSV file behind a table: what a program reads is what the page shows."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.report import pages
from oodlib.report import tables as report
from oodlib.report.tidy_csv import write_csv

share = st.floats(0, 1).map(lambda value: round(value, 4))


@given(st.lists(st.tuples(share, share, share), min_size=1, max_size=8))
def test_intervals_become_three_columns_of_numbers(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "intervals.csv"
    write_csv(pd.DataFrame({"set": range(len(rows)), "AUROC": [pages.interval(*row) for row in rows]}), path)
    read = pd.read_csv(path)
    assert list(read.columns) == ["set", "AUROC", "AUROC low", "AUROC high"]
    for column, place in (("AUROC", 0), ("AUROC low", 1), ("AUROC high", 2)):
        assert read[column].tolist() == [float(pages.percent(row[place])) for row in rows]


def test_a_group_is_named_in_every_row(tmp_path):
    shown = ["auroc", "fpr95", "fpr95_ood"]
    rows = [("far", "mcm", 0.9), ("far", "msp", 0.8), ("near", "mcm", 0.7), ("near", "msp", 0.6)]
    results = pd.DataFrame(
        [
            {"id_set": "a", "ood_set": name, "ood_kind": "far", "n_ood": 5, "detector": detector, "metric": metric}
            | {"value": value, "low": value, "high": value, "transductive": False, "parameters": "", "encoder": "x"}
            | {"tuning": "none", "shots": 0, "seed": 0}
            for name, detector, value in rows
            for metric in shown
        ]
    )
    table = report.pair_table(results, "a")
    assert "" in table["OOD set"].tolist()
    write_csv(table, tmp_path / "pairs.csv")
    read = pd.read_csv(tmp_path / "pairs.csv")
    assert read["OOD set"].tolist() == ["far (far, 5)"] * 2 + ["near (far, 5)"] * 2
    assert read["AUROC"].tolist() == [90.0, 80.0, 70.0, 60.0]


def test_other_cells_stay_as_they_are(tmp_path):
    frame = pd.DataFrame(
        {"`a`": ["`mcm`", "x, `y`"], "n": [1, 22], "gain": ["", "-1.5 [-2.0, -1.0]"], "p": ["5\N{NO-BREAK SPACE}%", ""]}
    )
    write_csv(frame, tmp_path / "t.csv")
    read = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert read.to_dict("list") == {
        "a": ["mcm", "x, `y`"],
        "n": [1, 22],
        "gain": ["", "-1.5"],
        "gain low": ["", "-2.0"],
        "gain high": ["", "-1.0"],
        "p": ["5 %", ""],
    }


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame({"a": [""], "b": [None]})])
def test_tables_with_nothing_in_them(tmp_path, frame):
    write_csv(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[:1] == [",".join(frame.columns)]
