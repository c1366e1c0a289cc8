import os

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from oodlib.errors import OodlibError
from oodlib.evaluation.results import read_results, write_results


def test_results_come_back_as_they_went(table, tmp_path):
    path = write_results(table, tmp_path / "results")
    assert path == tmp_path / "results" / "detection.parquet"
    pd.testing.assert_frame_equal(read_results(tmp_path / "results"), table)
    pd.testing.assert_frame_equal(
        pd.read_csv(path.with_suffix(".csv"), keep_default_na=False, na_values={"low": "", "high": ""}),
        table,
        check_dtype=False,
        rtol=1e-15,
    )
    assert sorted(p.name for p in path.parent.iterdir()) == ["detection.csv", "detection.parquet"]


def test_a_file_holds_only_what_was_written_last(table, tmp_path):
    write_results(table, tmp_path)
    write_results(table[:5], tmp_path)
    assert len(read_results(tmp_path)) == 5


def test_the_file_written_last_counts(table, tmp_path):
    newer = table.iloc[:3].assign(value=0.5, run="r2")
    first, second = write_results(table, tmp_path, "b"), write_results(newer, tmp_path, "a")
    for order, expected in (((first, second), 3), ((second, first), 0)):
        for time, path in enumerate(order):
            os.utime(path, (time, time))
        merged = read_results(tmp_path)
        assert len(merged) == len(table)
        assert (merged["run"] == "r2").sum() == expected


def test_a_write_that_fails_leaves_the_old_file(table, tmp_path, monkeypatch):
    path = write_results(table, tmp_path)
    before = path.read_bytes()

    def half(_, target, **__):
        target.write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", half)
    with pytest.raises(OodlibError, match="No space left on device"):
        write_results(table[:1], tmp_path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["detection.csv", "detection.parquet"]


def test_refuses_tables_that_are_not_results(table, tmp_path):
    with pytest.raises(OodlibError, match="A table of results has the columns profile"):
        write_results(table.drop(columns="seed"), tmp_path)
    with pytest.raises(OodlibError, match="3 results are given twice, the first is profile=pocket"):
        write_results(pd.concat([table, table[:3]]), tmp_path)
    with pytest.raises(OodlibError, match=r"There are no results in .*: run `make reproduce` first"):
        read_results(tmp_path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(OodlibError, match=r"broken.parquet is not a readable table of results: delete it"):
        read_results(tmp_path)


def test_no_changed_bit_gives_other_rows(table, tmp_path):
    """A bit in 150 places of the file: it is refused by name, or the rows are those that were written."""
    path = write_results(table, tmp_path)
    whole, rows = path.read_bytes(), read_results(tmp_path)
    refused = 0
    places = np.random.default_rng(0).integers(0, len(whole) * 8, 150).tolist()
    for place in places:
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            pd.testing.assert_frame_equal(read_results(tmp_path), rows)
        except OodlibError as error:
            refused += f"{path} is " in str(error)
    assert refused > 60


def test_rows_that_others_wrote_are_refused(table, tmp_path):
    table.to_parquet(tmp_path / "detection.parquet", index=False)
    with pytest.raises(OodlibError, match="is damaged, or was made by another version of oodlib: delete it"):
        read_results(tmp_path)
