"""Numbers that papers report and pages show beside their own: what can be checked of a copy."""

from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).parent.parent / "book" / "_data"


@pytest.fixture(scope="module")
def reported():
    return pd.read_csv(DATA / "reported_tuning.csv")


def test_every_average_is_that_of_its_four_cells(reported):
    table = reported.pivot(index=["tuning", "score", "metric"], columns="ood_set", values="value")
    sets = table.drop(columns="average")
    assert sets.shape[1] == 4
    assert not sets.isna().any().any()
    known = table["average"].notna()
    assert known.sum() == len(table) - 1  # one AUROC could not be read
    assert ((sets.mean(axis=1) - table["average"])[known].abs() <= 0.0101).all()


def test_every_cell_is_there_once_and_a_percentage(reported):
    assert not reported.duplicated(["tuning", "score", "ood_set", "metric"]).any()
    assert reported["value"].between(0, 100).all()
    assert set(reported["metric"]) == {"fpr95", "auroc"}
