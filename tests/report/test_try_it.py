"""What the page that detects loads: features in eight bits come back, and what is missing is named."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodlib.arrays import normalize
from oodlib.errors import OodlibError
from oodlib.report.try_it import LABELS, pack, page_detectors, same_as, unpack
from oodlib.report.try_it_files import RUNTIME, vendor


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_rows_come_back_in_their_blocks(counts, seed):
    rng = np.random.default_rng(seed)
    blocks = {f"b{k}": normalize(rng.standard_normal((n, 64), dtype=np.float32)) for k, n in enumerate(counts)}
    content, places = pack(blocks)
    found = unpack(content, places)
    assert list(found) == list(blocks)
    assert len(content) == sum(n * (64 + 4) for n in counts)
    for name, rows in blocks.items():
        assert (found[name] * rows).sum(1).min() > 0.9999
        np.testing.assert_allclose(np.linalg.norm(found[name], axis=1), 1, atol=1e-6)


def test_only_the_starting_names_are_clustered():
    start = [f"name {k}" for k in range(70)]
    clusters = [page_detectors(names, start)["ole"].get_params()["n_clusters"] for names in (start, start[1:])]
    assert clusters[0] > clusters[1] == 1
    assert list(page_detectors(start, start)) == list(LABELS)


def test_words_take_along_what_means_the_same():
    plane, nothing = same_as(["airplane", "qwertzuiop"])
    assert plane.split(";") == ["aeroplane", "plane"]
    assert nothing == ""


def test_a_missing_package_is_named(tmp_path):
    with pytest.raises(OodlibError, match=r"tfjs-backend-wasm\.js is missing: run `npm ci`"):
        vendor(tmp_path / "vendor", tmp_path, RUNTIME)


def test_a_classic_script_becomes_a_module_that_says_where_it_is_from(tmp_path):
    package = tmp_path / "packages" / "@scope" / "kernels"
    (package / "out").mkdir(parents=True)
    facts = {"name": "@scope/kernels", "version": "1.2.3", "license": "Apache-2.0"}
    (package / "package.json").write_text(json.dumps(facts), encoding="utf-8")
    script = package / "out" / "start.js"
    script.write_text("\nvar Start = (() => 1)();\n", encoding="utf-8")
    (made,) = vendor(tmp_path / "vendor", tmp_path / "packages", ["@scope/kernels/out/start.js"])
    assert made.name == "start.mjs"
    written = made.read_text(encoding="utf-8")
    assert written.startswith("/* start.js of @scope/kernels 1.2.3, licence Apache-2.0;")
    assert written.endswith("export default Start;\n")
    script.write_text("(() => 1)();\n", encoding="utf-8")
    with pytest.raises(OodlibError, match=r"start\.js of @scope/kernels does not start with a function"):
        vendor(tmp_path / "vendor", tmp_path / "packages", ["@scope/kernels/out/start.js"])
