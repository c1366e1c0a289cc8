"""What stands in a table, and the CSV file behind it: a program reads the numbers that the page shows."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.report.cells import NBSP, Interval, percent, write_csv

share = st.floats(-1, 1).map(lambda value: round(value, 4))


def test_numbers_are_percentages_with_one_decimal():
    assert percent(0.43085) == "43.1"
    assert str(Interval(0.4, 0.395, 0.40499)) == f"{Interval(0.4, 0.395, 0.40499)}" == f"40.0{NBSP}[39.5,{NBSP}40.5]"


def test_a_frame_keeps_the_numbers_of_an_interval_and_shows_its_text():
    rows = pd.DataFrame({"set": ["a", "b"], "metric": "auroc", "cell": [Interval(0.9, 0.8, 0.95), Interval(0.5, 0, 1)]})
    wide = rows.pivot(index="set", columns="metric", values="cell").reindex(["b", "a"]).reset_index()
    assert [cell.low for cell in wide["auroc"]] == [0, 0.8]
    assert f"50.0{NBSP}[0.0,{NBSP}100.0]" in wide.to_html()


@given(st.lists(st.tuples(share, share, share), min_size=1, max_size=8))
def test_intervals_become_three_columns_of_numbers(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "intervals.csv"
    write_csv(pd.DataFrame({"set": range(len(rows)), "AUROC": [Interval(*row) for row in rows]}), path)
    read = pd.read_csv(path)
    assert list(read.columns) == ["set", "AUROC", "AUROC low", "AUROC high"]
    for column, place in (("AUROC", 0), ("AUROC low", 1), ("AUROC high", 2)):
        assert read[column].tolist() == [float(percent(row[place])) for row in rows]


def test_the_file_of_a_table_byte_for_byte(tmp_path):
    frame = pd.DataFrame(
        {
            "`a`": ["`mcm`", "x, `y`"],
            "n": [1, 22],
            "gain": ["", Interval(-0.015, -0.02, -0.01)],
            "not run": [Interval(0.9, 0.8, 0.95), "–"],
            "best": ["**90.0**", Interval(0.9, 0.8, 0.95)],
            "p": [f"5{NBSP}%", ""],
            "from": ["[zero shot](zero_shot.ipynb)", "{download}`0123456789ab </runs/0123456789ab.json>`"],
        },
        index=[3, 3],
    )
    write_csv(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes().decode() == (
        "a,n,gain,gain low,gain high,not run,best,p,from\n"
        'mcm,1,,,,"90.0 [80.0, 95.0]",**90.0**,5 %,zero shot\n'
        '"x, `y`",22,-1.5,-2.0,-1.0,–,"90.0 [80.0, 95.0]",,0123456789ab\n'
    )


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.DataFrame({"a": [""], "b": [None]})])
def test_tables_with_nothing_in_them(tmp_path, frame):
    write_csv(frame, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()[:1] == [",".join(frame.columns)]
