from pathlib import Path

import pandas as pd
import pytest

from oodlib.datasets import Benchmark, Manifest
from oodlib.errors import OodlibError


def manifest(labels: str = "abc", **columns) -> Manifest:
    rows = {
        "id": list(labels),
        "uri": [f"{x}.png" for x in labels],
        "label": list(labels),
        "split": "test",
        "sha256": "0",
    }
    return Manifest("toy", Path("pictures"), pd.DataFrame({**rows, **columns}))


def test_digest_depends_on_every_row_and_its_order_but_not_on_the_folder():
    one = manifest()
    assert one.digest == Manifest("toy", Path("elsewhere"), one.table.assign(extra=1)).digest
    assert one.digest != manifest("acb").digest
    assert one.digest != manifest(sha256="1").digest
    assert one.digest != one.select(one.table["id"] != "c").digest


def test_select_keeps_order_and_paths():
    part = manifest().select(manifest().table["id"] != "b")
    assert part.paths() == [Path("pictures/a.png"), Path("pictures/c.png")]


def test_manifest_refuses_missing_columns_and_repeated_ids():
    with pytest.raises(OodlibError, match="lacks the column\\(s\\) sha256"):
        Manifest("toy", Path(), manifest().table.drop(columns="sha256"))
    with pytest.raises(OodlibError, match="names the picture 'a' twice"):
        manifest("aba")


def test_benchmark_gives_label_indices_and_refuses_strangers():
    assert Benchmark("toy", ("c", "a"), manifest("aca"[:2]), {}, {}).id_labels.tolist() == [1, 0]
    with pytest.raises(OodlibError, match="outside the class names, such as 'c'"):
        Benchmark("toy", ("a", "b"), manifest(), {}, {})
    with pytest.raises(OodlibError, match="needs a kind"):
        Benchmark("toy", tuple("abc"), manifest(), {"far": manifest()}, {})
