"""What every detector must do, whichever method it is. A new module in oodlib/detectors is tested here at once."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from torch.nn.functional import normalize

import oodlib.detectors
from oodlib.arrays import cast
from oodlib.concepts import Concepts, MissingPartError
from oodlib.detectors import Detector, base, get_detector, list_detectors, name_of
from oodlib.errors import OodlibError
from oodlib.registry import Registry

D, C = 16, 6
HERE = {**os.environ, "PYTHONPATH": str(Path(oodlib.__file__).parents[1])}
all_detectors = pytest.mark.parametrize(
    "name", [name for name in list_detectors() if "patches" not in get_detector(name).requires]
)


def features(n, seed=0):
    return normalize(torch.randn(n, D, generator=torch.Generator().manual_seed(seed)), dim=1)


def tower(names, text):
    """A text tower that reads "<name> and <name>" as what lies between the two."""
    known = dict(zip(names, text, strict=True))

    def encode(texts):
        return normalize(torch.stack([sum(known[name] for name in one.split(" and ")) for one in texts]), dim=1)

    return encode


def concepts(order=range(C)):
    """Classes, with everything that any detector may ask for."""
    text, shots = features(C, seed=1), features(2 * C, seed=3)
    order = list(order)
    names, words, others = [f"class {i}" for i in order], [f"word {i}" for i in range(20)], features(20, seed=2)
    return Concepts(
        names=names,
        text=text[order],
        outlier_names=words,
        outlier_text=others,
        outlier_kinds=["noun"] * 14 + ["adjective"] * 6,
        no_text=features(C, seed=4)[order],
        shots=shots,
        shot_labels=[order.index(i % C) for i in range(2 * C)],
        logit_scale=100.0,
        encode=tower([*names, *words], [*text[order], *others]),
    )


def fitted(name):
    return get_detector(name).fit(concepts())


@pytest.mark.parametrize("name", list_detectors())
def test_what_a_detector_requires_is_what_it_cannot_do_without(name):
    detector, whole = get_detector(name), concepts()
    parts = [part for part in detector.requires if part != "patches"]
    kept = {part: getattr(whole, part) for part in parts}
    if "outlier_text" in parts:
        kept["outlier_names"] = whole.outlier_names
    if "shots" in parts:
        kept["shot_labels"] = whole.shot_labels
    detector.fit(Concepts(names=whole.names, text=whole.text, **kept))
    for part in parts:
        belong = {"outlier_text": "outlier_names", "shots": "shot_labels"}
        without = {field: value for field, value in kept.items() if field not in (part, belong.get(part))}
        with pytest.raises(MissingPartError) as raised:
            detector.fit(Concepts(names=whole.names, text=whole.text, **without))
        assert raised.value.part == part


@all_detectors
def test_scores_are_finite_numbers_one_for_each_picture(name):
    scores = fitted(name).score_samples(features(50))
    assert scores.shape == (50,)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


@all_detectors
def test_larger_means_more_in_distribution(name):
    detector = fitted(name)
    text = concepts().text
    inside = normalize(text.repeat(5, 1) + 0.3 * features(5 * C, seed=5), dim=1)
    # pictures of nothing: orthogonal to all classes, with a little noise
    outside = features(60, seed=6)
    basis = torch.linalg.qr(text.T).Q
    outside = normalize(outside - outside @ basis @ basis.T + 0.05 * features(60, seed=7), dim=1)
    assert detector.score_samples(inside).median() > detector.score_samples(outside).median()


@all_detectors
@given(order=st.permutations(range(C)))
def test_the_order_of_classes_does_not_matter(name, order):
    images = features(8)
    found = get_detector(name).fit(concepts(order)).score_samples(images)
    np.testing.assert_allclose(found, fitted(name).score_samples(images), rtol=1e-4, atol=1e-6)


@all_detectors
def test_a_batch_is_its_rows(name, monkeypatch):
    detector, images = fitted(name), features(7)
    whole = detector.score_samples(images)
    if not detector.order_dependent:
        rows = torch.cat([detector.score_samples(row[None]) for row in images])
        torch.testing.assert_close(whole, rows, rtol=1e-5, atol=1e-6)
        monkeypatch.setattr(base, "_CELLS", 20)
        torch.testing.assert_close(whole, detector.score_samples(images), rtol=1e-5, atol=1e-6)
    assert fitted(name).score_samples(images[:0]).shape == (0,)


@all_detectors
def test_precision_of_the_input_is_kept(name):
    images = features(5).double()
    images /= images.norm(dim=1, keepdim=True)
    exact = fitted(name).score_samples(images)
    assert exact.dtype == torch.float64
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float16, 5e-2)):
        found = fitted(name).score_samples(images.to(dtype))
        assert found.dtype == torch.float32
        found, expected = (fitted(name).to_paper(scores) for scores in (found, exact))
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def in_numpy(concepts):
    """The same concepts without a tensor in them."""
    parts = {
        field: getattr(concepts, field).numpy() for field in ("text", "outlier_text", "no_text", "shots", "shot_labels")
    }
    return dataclasses.replace(concepts, **parts)


@all_detectors
def test_arrays_and_tensors_score_alike(name):
    images = features(50)
    array = images.numpy()
    before = array.copy()
    expected = fitted(name).score_samples(images)
    learned = get_detector(name).fit(in_numpy(concepts()))
    for found in (fitted(name).score_samples(array), learned.score_samples(array)):
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(learned.score_samples(images), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(array, before)
    assert learned.score_samples(array[:0]).shape == (0,)
    detector = fitted(name)
    detector.threshold_ = float(expected.median()) + 1e-4
    np.testing.assert_array_equal(detector.predict(array), detector.predict(images))


@all_detectors
def test_precision_of_arrays_is_kept(name):
    exact = features(5).double()
    exact = (exact / exact.norm(dim=1, keepdim=True)).numpy()
    detector = get_detector(name).fit(in_numpy(concepts()))
    assert detector.score_samples(exact).dtype == np.float64
    assert detector.score_samples(exact.astype(np.float16)).dtype == np.float32
    np.testing.assert_allclose(detector.score_samples(exact), fitted(name).score_samples(torch.from_numpy(exact)))


@all_detectors
@pytest.mark.parametrize("example", [concepts(), in_numpy(concepts())], ids=["tensors", "arrays"])
def test_what_was_learned_can_be_taken_back(name, example):
    detector = get_detector(name).fit(example)
    detector.threshold_ = 0.25
    state = detector.state()
    assert all(key.endswith("_") for key in state)
    assert {type(value) for value in state.values()} <= {type(example.text), np.ndarray, float, int, tuple, type(None)}
    again = get_detector(name, **detector.get_params()).restore(state)
    if "encode" in again.requires:
        again.encode_ = example.encode
    for images in (features(20), features(20).numpy()):
        np.testing.assert_array_equal(again.score_samples(images), detector.score_samples(images))
    assert again.threshold_ == 0.25


def test_a_state_is_plain_values_or_refused():
    tuned = dataclasses.replace(concepts(), match=lambda features: features[:, :C])
    detector = get_detector("mcm").fit(tuned)
    with pytest.raises(OodlibError, match=r"MCM.* match_, a function"):
        detector.state()
    np.testing.assert_allclose(
        detector.score_samples(features(4).numpy()), detector.score_samples(features(4)), rtol=1e-6
    )
    with pytest.raises(NotFittedError):
        get_detector("mcm").state()
    with pytest.raises(OodlibError, match="MCM is restored from what state"):
        get_detector("mcm").restore({"temperature": 1.0})


NO_NEED = "torch sklearn scipy.stats pandas open_clip transformers"


def test_scoring_arrays_loads_neither_torch_nor_scikit_learn(tmp_path):
    """A budget of modules: each of these costs seconds, before one picture is scored."""
    example = in_numpy(concepts())
    learned = get_detector("ole").fit(example).state()
    np.savez(tmp_path / "ole.npz", **{name: part for name, part in learned.items() if isinstance(part, np.ndarray)})
    np.savez(tmp_path / "features.npz", images=features(5), text=example.text, outlier_text=example.outlier_text)
    code = f"""
import sys
import numpy as np
import oodlib.evaluation.thresholds
from oodlib.concepts import Concepts, MissingPartError
from oodlib.detectors import get_detector, list_detectors
parts = dict(np.load("features.npz"))
words = ["word"] * len(parts["outlier_text"])
example = Concepts(["name"] * {C}, parts["text"], words, parts["outlier_text"])
ole = get_detector("ole").restore({{"match_": None, "threshold_": 0.5, **np.load("ole.npz")}})
fitted = [ole, *(get_detector(name).fit(example) for name in ("mcm", "energy", "neg_label"))]
print([detector.score_samples(parts["images"]).tolist() for detector in fitted])
loaded = set("{NO_NEED}".split()) & set(sys.modules)
assert list_detectors() and not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=HERE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, scores in zip(("ole", "mcm", "energy", "neg_label"), found, strict=True):
        bare = dataclasses.replace(concepts(), outlier_kinds=())
        expected = get_detector(name).fit(bare).score_samples(features(5))
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@all_detectors
def test_keeps_the_contract_of_scikit_learn(name):
    detector = get_detector(name)
    assert is_outlier_detector(detector)
    assert name_of(detector) == name
    parameters = detector.get_params()
    assert repr(detector) == f"{type(detector).__name__}()"
    assert detector.fit(concepts()) is detector
    assert detector.get_params() == parameters  # fitting changes no hyper-parameter
    copy = clone(detector)
    assert copy.get_params() == parameters
    assert not hasattr(copy, "text_")
    for key, value in vars(detector).items():
        assert key.endswith("_") or key in parameters, (key, value)
    assert type(detector).__doc__ is not None
    assert "Larger = more in-distribution" in " ".join(type(detector).__doc__.split())


@all_detectors
def test_the_threshold_decides(name):
    detector, images = fitted(name), features(9)
    scores = detector.score_samples(images)
    assert math.isnan(detector.threshold_)
    detector.threshold_ = float(scores.min() + scores.max()) / 2
    labels = detector.predict(images)
    assert labels.tolist() == [1 if s >= detector.threshold_ else -1 for s in scores]
    assert set(labels.tolist()) == {1, -1}
    torch.testing.assert_close(detector.decision_function(images), scores - detector.threshold_)
    detector.threshold_ = float(scores.max())
    assert (detector.predict(images) == 1).any()  # a score at the threshold is in-distribution
    assert math.isnan(detector.fit(concepts()).threshold_)


@pytest.mark.parametrize("name", list_detectors())
def test_the_papers_scale_is_reached_and_left(name):
    detector = get_detector(name).fit(concepts())
    if detector.bounds is None:
        assert detector.to_paper(3.5) == detector.from_paper(3.5) == 3.5
        return
    low, high = detector.bounds
    values = [low + share * (high - low) for share in (1e-9, 0.05, 0.5, 0.93)]
    for value in values:
        assert detector.to_paper(detector.from_paper(value)) == pytest.approx(value, rel=1e-9, abs=1e-15)
    scores = np.array([detector.from_paper(value) for value in values])
    assert (np.diff(scores) > 0).all()
    for some in (scores, torch.from_numpy(scores)):
        np.testing.assert_allclose(detector.to_paper(some), values, rtol=1e-9, atol=1e-15)
    ends = {low: -math.inf, low - 1: -math.inf, high: math.inf, high + 1: math.inf}
    assert {value: detector.from_paper(value) for value in ends} == ends
    assert [float(detector.to_paper(end)) for end in (-math.inf, math.inf)] == [low, high]
    if detector.even_odds is not None:
        assert detector.from_paper(detector.even_odds) == 0


@all_detectors
def test_says_what_is_wrong(name):
    detector = fitted(name)
    with pytest.raises(NotFittedError):
        get_detector(name).score_samples(features(4))
    with pytest.raises(OodlibError, match="has no threshold yet: set threshold_"):
        detector.predict(features(4))
    with pytest.raises(OodlibError, match=r"is fitted to Concepts\(names=..., text=...\), not to Tensor"):
        get_detector(name).fit(features(4))
    for images, whole in ((features(4), torch.int64), (features(4).numpy(), np.int64)):
        with pytest.raises(OodlibError, match=r"features has shape \(16,\): pass a matrix"):
            detector.score_samples(images[0])
        with pytest.raises(OodlibError, match="features have 8 columns but the concepts have 16"):
            detector.score_samples(images[:, :8])
        with pytest.raises(OodlibError, match="features holds int64"):
            detector.score_samples(cast(images, whole))
        with pytest.raises(OodlibError, match=r"not L2-normalised .*: divide each row"):
            detector.score_samples(3 * images)
        images[2, 0] = math.nan
        with pytest.raises(OodlibError, match="NaN or infinite values in 1 rows, the first is row 2"):
            detector.score_samples(images)


@pytest.mark.parametrize("name", [n for n in list_detectors() if "temperature" in get_detector(n).get_params()])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_must_be_above_zero(name, temperature):
    with pytest.raises(OodlibError, match="must be a number above 0"):
        get_detector(name, temperature=temperature).fit(concepts())


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(OodlibError, match="unknown detector 'mmc': choose from ada_neg, clip_scope"):
        get_detector("mmc")
    with pytest.raises(OodlibError, match="mcm has no parameter 'temp': it takes temperature"):
        get_detector("mcm", temp=1)
    with pytest.raises(OodlibError, match="msp has no parameter 'temperature': it takes none"):
        get_detector("msp", temperature=1)
    with pytest.raises(ImportError, match="cannot import name 'MCN'"):
        from oodlib.detectors import MCN  # noqa: F401


def test_classes_can_be_imported_from_the_package():
    from oodlib.detectors import MCM

    assert MCM is type(get_detector("mcm"))


def test_a_new_file_is_enough(tmp_path, monkeypatch):
    (tmp_path / "mean_cosine.py").write_text(
        "from oodlib.detectors.base import Detector\n\n\n"
        "class MeanCosine(Detector):\n"
        "    def score_block(self, features):\n"
        "        return self.cosines(features).mean(dim=-1)\n"
    )
    monkeypatch.setattr(oodlib.detectors, "__path__", [*oodlib.detectors.__path__, str(tmp_path)])
    monkeypatch.setattr(oodlib.detectors, "_registry", Registry("oodlib.detectors", Detector, "detector"))
    assert "mean_cosine" in list_detectors()
    assert get_detector("mean_cosine").fit(concepts()).score_samples(features(3)).shape == (3,)
    (tmp_path / "empty.py").write_text("")
    monkeypatch.setattr(oodlib.detectors, "_registry", Registry("oodlib.detectors", Detector, "detector"))
    with pytest.raises(OodlibError, match="empty defines 0 detectors"):
        get_detector("empty")
