import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from oodlib import arrays as both
from oodlib.arrays import as_numpy, as_tensor, like, permutation, pick, split, top_k
from oodlib.concepts import Concepts
from oodlib.detectors import get_detector
from oodlib.errors import OodlibError
from oodlib.evaluation.metrics import ood_metrics
from oodlib.evaluation.scoring import classify
from oodlib.feature_detectors import get_feature_detector
from oodlib.report.geometry import gap, neighbours

# Logits of cosines divided by 0.01 go up to 100; ten times that must neither overflow nor warn.
logits = arrays(np.float32, array_shapes(min_dims=2, max_dims=3, min_side=1), elements=st.floats(-1000, 1000, width=32))


@pytest.mark.parametrize(
    "name", ["softmax", "log_softmax", "logsumexp", "sigmoid", "log_sigmoid", "largest", "normalize"]
)
@given(logits)
def test_arrays_and_tensors_agree(name, values):
    function = getattr(both, name)
    found, expected = function(values), function(torch.from_numpy(values))
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(logits, st.floats(0, 1))
def test_quantile_agrees(values, q):
    found, expected = both.quantile(values, q), both.quantile(torch.from_numpy(values), q)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


@given(logits, st.data())
def test_the_k_largest_fall_and_stand_where_it_says(values, data):
    k = data.draw(st.integers(1, values.shape[-1]))
    found, places = top_k(values, k)
    np.testing.assert_array_equal(found, top_k(torch.from_numpy(values), k)[0])
    np.testing.assert_array_equal(found, np.take_along_axis(values, places, -1))
    assert (pick(values, places[..., 0]) == values.max(-1)).all()


@given(st.integers(0, 300), st.integers(0, 2**40))
def test_the_permutation_is_that_of_torch(n, seed):
    expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert permutation(n, seed).tolist() == expected.tolist()


def test_like_takes_kind_and_precision():
    single, double = np.eye(2, dtype=np.float32), torch.eye(2, dtype=torch.float64)
    assert like(single, double).dtype == torch.float64
    assert like(double, single).dtype == np.float32
    assert like(single, single) is single
    assert as_numpy(torch.eye(2, dtype=torch.bfloat16, requires_grad=True)).dtype == np.float32


def test_memory_that_torch_refuses_is_copied():
    fixed = np.arange(3.0)
    fixed.flags.writeable = False
    for values in (fixed, fixed[::-1]):
        assert as_tensor(values).tolist() == values.tolist()


@pytest.mark.parametrize("make", [np.zeros, torch.zeros])
def test_blocks_have_all_rows(make):
    assert [len(block) for block in split(make((5, 2)), 2)] == [2, 2, 1]
    assert [block.shape for block in split(make((0, 2)), 2)] == [(0, 2)]


ROWS = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
TENSOR = torch.from_numpy(ROWS)


def memory_map(folder):
    made = np.memmap(folder / "rows", np.float32, "w+", shape=ROWS.shape)
    made[:] = ROWS
    return made


def read_only():
    fixed = ROWS.copy()
    fixed.flags.writeable = False
    return fixed


# The same numbers as libraries make them.
FORMS = {
    "read backwards": lambda _: ROWS[::-1].copy()[::-1],
    "Fortran order": lambda _: np.asfortranarray(ROWS),
    "every other column": lambda _: np.repeat(ROWS, 2, axis=1)[:, ::2],
    "read-only": lambda _: read_only(),
    "big-endian": lambda _: ROWS.astype(">f4"),
    "double, big-endian": lambda _: ROWS.astype(">f8"),
    "half": lambda _: ROWS.astype(np.float16),
    "long double": lambda _: ROWS.astype(np.longdouble),
    "objects": lambda _: ROWS.astype(object),
    "memory map": memory_map,
    "nothing masked": lambda _: np.ma.masked_array(ROWS, np.zeros_like(ROWS, bool)),
    "table": lambda _: pd.DataFrame(ROWS, index=list("hgfedcba")),
    "table that may miss values": lambda _: pd.DataFrame(ROWS).astype("Float32"),
    "table of Arrow": lambda _: pd.DataFrame(ROWS).astype("float32[pyarrow]"),
    "list": lambda _: ROWS.tolist(),
    "list of arrays": lambda _: list(ROWS),
    "list of tensors": lambda _: list(TENSOR),
    "list of parameters": lambda _: list(torch.nn.Parameter(TENSOR.clone())),
    "parameter": lambda _: torch.nn.Parameter(TENSOR.clone()),
    "view of a parameter": lambda _: torch.nn.Parameter(TENSOR.T.clone()).T,
    "bfloat16": lambda _: TENSOR.bfloat16(),
    "bfloat16 with gradient": lambda _: torch.nn.Parameter(TENSOR.bfloat16()),
    "half tensor": lambda _: TENSOR.half(),
    "negative view": lambda _: torch.complex(torch.zeros_like(TENSOR), -TENSOR).conj().imag,
}
BAD = {
    "masked": (np.ma.masked_array(ROWS, ROWS[3, 2] == ROWS), "has masked values: leave those out, or fill them in"),
    "sparse": (TENSOR.to_sparse(), r"is sparse: pass an ordinary tensor"),
    "meta": (TENSOR.to("meta"), "is a tensor without data"),
    "text": (ROWS.astype(str), "must be numbers, in a tensor or an array, not ndarray of <U"),
    "text as objects": (ROWS.astype(str).astype(object), "must be numbers"),
    "dates": (ROWS.astype("M8[s]"), "must be numbers"),
    "ragged": ([[1.0], [1.0, 2.0]], "must be numbers, in a tensor or an array, not list"),
    "mixed table": (pd.DataFrame(ROWS).assign(name="a"), "must be numbers, in a tensor or an array, not DataFrame"),
    "nothing": (None, "must be numbers, in a tensor or an array, not None"),
    "complex": (ROWS.astype(complex), "complex"),
}


@pytest.mark.parametrize("form", FORMS)
def test_numbers_are_taken_as_libraries_make_them(form, tmp_path):
    given = FORMS[form](tmp_path)
    close = {"rtol": 0, "atol": 2e-2 if "bfloat16" in form else 1e-3 if "half" in form else 1e-6}
    concepts = Concepts(names=["a", "b"], text=ROWS[:2])
    wanted = get_detector("mcm").fit(concepts).score_samples(ROWS)
    for kind in (concepts, Concepts(names=["a", "b"], text=TENSOR[:2], match=lambda rows: rows @ TENSOR[:2].T)):
        np.testing.assert_allclose(as_numpy(get_detector("mcm").fit(kind).score_samples(given)), wanted, **close)
    np.testing.assert_allclose(as_numpy(Concepts(names=list("abcdefgh"), text=given).text), ROWS, **close)
    labels = np.array([0, 1] * 4)
    knn = get_feature_detector("knn", n_neighbors=2)
    wanted = knn.fit(ROWS, labels).score_samples(ROWS)
    np.testing.assert_allclose(knn.fit(given, labels).score_samples(given), wanted, rtol=0, atol=5e-2)
    head = {"weight": ROWS, "bias": ROWS[:, 0]}
    wanted = get_feature_detector("gen", **head).fit(ROWS).score_samples(ROWS)
    found = get_feature_detector("gen", weight=given, bias=head["bias"]).fit(ROWS).score_samples(ROWS)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=10 * close["atol"])


@pytest.mark.parametrize("form", BAD)
def test_what_is_no_array_of_numbers_is_refused_in_one_sentence(form):
    given, message = BAD[form]
    calls = [
        lambda: Concepts(names=list("abcdefgh"), text=given),
        lambda: get_detector("mcm").fit(Concepts(names=["a", "b"], text=ROWS[:2])).score_samples(given),
        lambda: get_feature_detector("gen", weight=given, bias=ROWS[:, 0]).fit(ROWS),
        lambda: ood_metrics(given, [0.0]),
    ]
    for call in calls if given is not None else calls[:2] + calls[3:]:
        with pytest.raises(OodlibError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


SCORES = np.array([0.9, 0.8, 0.7, 0.4])


@pytest.mark.parametrize(
    "form",
    [
        np.ma.masked_array(SCORES),
        pd.Series(SCORES, index=list("dcba")),
        pd.Series(SCORES, dtype="Float64"),
        SCORES.astype(">f8"),
        SCORES[::-1].copy()[::-1],
        list(torch.nn.Parameter(torch.tensor(SCORES))),
        torch.nn.Parameter(torch.tensor(SCORES)),
    ],
    ids=lambda form: type(form).__name__,
)
def test_scores_are_taken_as_libraries_make_them(form):
    assert ood_metrics(form, [0.6, 0.3, 0.2]) == ood_metrics(SCORES, [0.6, 0.3, 0.2])


def test_a_mask_is_not_passed_over():
    masked = np.ma.masked_array(SCORES, [True, False, False, False])
    for call in (
        lambda: ood_metrics(masked, SCORES),
        lambda: Concepts(
            ["a", "b"], ROWS[:2], shots=ROWS[:4], shot_labels=np.ma.masked_array([0, 1, 0, 1], SCORES > 0.8)
        ),
        lambda: get_feature_detector("mahalanobis").fit(ROWS[:4], np.ma.masked_array([0, 1, 0, 1], SCORES > 0.8)),
        lambda: get_feature_detector("knn").fit(np.ma.masked_array(ROWS, ROWS > 0)),
        lambda: get_feature_detector("residual", dim=2, origin=masked).fit(ROWS),
    ):
        with pytest.raises(OodlibError, match="has masked values"):
            call()


def test_a_transductive_detector_and_the_geometry_take_arrays_read_backwards():
    backwards = ROWS[::-1]
    assert classify(Concepts(["a", "b"], TENSOR[:2]), backwards).tolist() == (backwards @ ROWS[:2].T).argmax(1).tolist()
    assert neighbours(backwards, k=2).shape == (8, 2)
    assert gap(backwards, ROWS).distance == pytest.approx(0, abs=1e-6)
