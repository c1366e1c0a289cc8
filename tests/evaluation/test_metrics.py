import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_ood.metrics import functional as pytorch_ood
from scipy.stats import norm
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from oodlib.errors import OodlibError
from oodlib.evaluation import metrics
from oodlib.evaluation.metrics import METRICS, bootstrap_metrics, fpr_at_recall, ood_metrics

MCM_CASES = ["ties", "separable", "inverted", "constant", "small", "n20"]
OPENOOD_CASES = [
    *("continuous", "ties", "heavy_ties", "constant", "separable", "inverted", "tiny"),
    *("float32_softmax", "n19", "n20", "imbalanced"),
]
SAME = {"rtol": 1e-15, "atol": 1e-15}  # sums of rounded terms: the last bit depends on the order of summation


def few_values():
    """Scores with many ties."""
    return st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=40)


def from_sklearn(id_scores, ood_scores):
    """The same numbers, the slow way."""
    y = np.r_[np.ones(len(id_scores)), np.zeros(len(ood_scores))]
    s = np.r_[id_scores, ood_scores]
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    fpr_out, tpr_out, _ = roc_curve(1 - y, -s, drop_intermediate=False)
    return {
        "auroc": roc_auc_score(y, s),
        "aupr_in": average_precision_score(y, s),
        "aupr_out": average_precision_score(1 - y, -s),
        "fpr95": fpr[np.argmax(tpr >= 0.95)],
        "fpr95_ood": fpr_out[np.argmax(tpr_out >= 0.95)],
        "detection_accuracy": ((1 - fpr + tpr) / 2).max(),
    }


@pytest.mark.parametrize("case", MCM_CASES)
def test_corner_cases_of_the_mcm_code(golden, case):
    g = golden("mcm")
    id_scores, ood_scores = g[f"case_{case}_id"], g[f"case_{case}_ood"]
    auroc, aupr, fpr95 = g[f"case_{case}_measures"]
    found = ood_metrics(id_scores, ood_scores, cut="nearest", aupr="step")
    assert found["fpr95"] == fpr95
    assert fpr_at_recall(id_scores, ood_scores, 0.8, cut="nearest") == g[f"case_{case}_fpr80"]
    np.testing.assert_allclose([found["auroc"], found["aupr_in"]], [auroc, aupr], **SAME)


@pytest.mark.parametrize("file", ["mcm", "logitgap"])
def test_scores_of_the_mcm_and_logitgap_code(golden, file):
    g = golden(file)
    for k, name in enumerate(g["metric_names"]):
        found = ood_metrics(g[f"score_{name}_id"], g[f"score_{name}_ood"], cut="nearest", aupr="step")
        assert found["fpr95"] == g["metric_fpr95"][k], name
        np.testing.assert_allclose(found["auroc"], g["metric_auroc"][k], **SAME)
        np.testing.assert_allclose(found["aupr_in"], g["metric_aupr"][k], **SAME)


@pytest.mark.parametrize("case", OPENOOD_CASES)
def test_corner_cases_of_the_openood_code(golden, case):
    g = golden("openood_metrics")
    conf, is_id = g[f"{case}_conf"], g[f"{case}_label"] >= 0
    fpr95_ood, auroc, aupr_in, aupr_out, _ = g[f"{case}_openood"]
    found = ood_metrics(conf[is_id], conf[~is_id], cut="first", aupr="trapezoid")
    assert found["fpr95_ood"] == fpr95_ood
    assert found["fpr95"] == g[f"{case}_openood_fpr_recall_id_positive"][0]
    np.testing.assert_allclose([found[m] for m in METRICS[:3]], [auroc, aupr_in, aupr_out], **SAME)
    nearest = ood_metrics(conf[is_id], conf[~is_id], cut="nearest")
    assert nearest["fpr95"] == g[f"{case}_mcm"][2]
    assert fpr_at_recall(conf[is_id], conf[~is_id], 0.8, cut="nearest") == g[f"{case}_mcm_fpr80"]
    np.testing.assert_allclose([nearest["auroc"], nearest["aupr_in"]], g[f"{case}_mcm"][:2], **SAME)


@pytest.mark.parametrize("file", ["msp", "mls", "ebo", "mcm"])
def test_scores_of_the_openood_code(golden, file):
    g = golden(f"openood_{file}")
    for key in (key for key in g if key.startswith("metrics")):
        suffix = key.removeprefix("metrics")
        found = ood_metrics(g[f"score_id{suffix}"], g[f"score_ood{suffix}"], cut="first", aupr="trapezoid")
        assert found["fpr95_ood"] == g[key][0]
        np.testing.assert_allclose([found[m] for m in METRICS[:3]], g[key][1:4], **SAME)


def test_a_hand_computed_example():
    found = ood_metrics([5, 4, 3, 1], [4, 2])
    # pairs won: 5 beats both, 4 ties one and beats one, 3 beats one, 1 none: 2 + 1.5 + 1 + 0 of 8
    assert found["auroc"] == 4.5 / 8
    assert found["fpr95"] == 1.0  # all four ID pictures are needed, the lowest lies below all OOD
    assert found["fpr95_ood"] == 0.75  # catching the OOD picture at 4 rejects the ID pictures at 1, 3 and 4
    assert found["detection_accuracy"] == (0.75 + 0.5) / 2  # cut between 2 and 3


@given(few_values(), few_values())
def test_agrees_with_scikit_learn(id_scores, ood_scores):
    found, expected = ood_metrics(id_scores, ood_scores), from_sklearn(id_scores, ood_scores)
    assert list(found) == list(METRICS)
    for name in METRICS:
        assert found[name] == pytest.approx(expected[name], abs=1e-14), name
    assert found["fpr95"] == expected["fpr95"]
    assert found["fpr95_ood"] == expected["fpr95_ood"]


@given(few_values(), few_values())
def test_trapezoid_agrees_with_scikit_learn(id_scores, ood_scores):
    y, s = np.r_[np.ones(len(id_scores)), np.zeros(len(ood_scores))], np.r_[id_scores, ood_scores]
    found = ood_metrics(id_scores, ood_scores, aupr="trapezoid")
    for name, labels, values in (("aupr_in", y, s), ("aupr_out", 1 - y, -s)):
        precision, recall, _ = precision_recall_curve(labels, values)
        assert found[name] == pytest.approx(auc(recall, precision), abs=1e-14)


@given(few_values(), few_values())
def test_agrees_with_pytorch_ood(id_scores, ood_scores):
    outlier_scores = -torch.tensor([*id_scores, *ood_scores])
    labels = torch.tensor([0] * len(id_scores) + [-1] * len(ood_scores))
    found = ood_metrics(id_scores, ood_scores)
    assert found["fpr95_ood"] == float(pytorch_ood.fpr_at_tpr(outlier_scores, labels))
    assert found["auroc"] == pytest.approx(float(pytorch_ood.auroc(outlier_scores, labels)), abs=1e-14)


@given(few_values(), few_values())
def test_swapping_the_classes_swaps_the_metrics(id_scores, ood_scores):
    found = ood_metrics(id_scores, ood_scores)
    swapped = ood_metrics([-s for s in ood_scores], [-s for s in id_scores])
    for one, other in (("fpr95", "fpr95_ood"), ("aupr_in", "aupr_out"), ("auroc", "auroc")):
        assert found[one] == pytest.approx(swapped[other], abs=1e-15)


@given(few_values(), few_values())
def test_only_the_ranking_counts(id_scores, ood_scores):
    stretched = ood_metrics(np.exp(id_scores), np.exp(ood_scores))
    assert ood_metrics(id_scores, ood_scores) == stretched


@given(few_values(), few_values(), st.sampled_from([0.5, 0.8, 0.95]))
def test_nearest_cut_by_trying_every_cut(id_scores, ood_scores, level):
    cuts = sorted({*id_scores, *ood_scores})
    full = max(cut for cut in cuts if cut <= min(id_scores))  # more lenient cuts only add OOD
    recalls = {cut: sum(s >= cut for s in id_scores) / len(id_scores) for cut in cuts if cut >= full}
    best = min(recalls, key=lambda cut: abs(recalls[cut] - level))  # the lowest of equals
    expected = sum(s >= best for s in ood_scores) / len(ood_scores)
    assert fpr_at_recall(id_scores, ood_scores, level, cut="nearest") == expected


@pytest.mark.parametrize("convert", [list, tuple, torch.tensor, lambda s: np.array(s, dtype=np.float32)])
def test_accepts_what_people_have(convert):
    assert ood_metrics(convert([3.0, 2.0, 0.5]), convert([1.0, 0.0]))["auroc"] == pytest.approx(5 / 6)


def test_accepts_half_precision_tensors_that_carry_gradients():
    scores = torch.tensor([3.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    assert ood_metrics(scores, torch.zeros(2, dtype=torch.float16))["auroc"] == 1


@pytest.mark.parametrize(
    ("id_scores", "message"),
    [
        ([], "id_scores is empty"),
        ([1.0, np.nan, np.inf], "id_scores has 2 NaN or infinite values, the first at place 1"),
        ([[1.0, 2.0]], r"id_scores has shape \(1, 2\): pass one score for each picture"),
        (1.0, r"id_scores has shape \(\)"),
        (["high"], "id_scores must be numbers"),
        ([[1.0], [1.0, 2.0]], "id_scores must be numbers"),
    ],
)
def test_says_what_is_wrong_with_scores(id_scores, message):
    with pytest.raises(OodlibError, match=message):
        ood_metrics(id_scores, [0.0])


def test_says_what_is_wrong_with_options():
    with pytest.raises(OodlibError, match="cut='closest' is unknown: choose from 'first', 'nearest'"):
        ood_metrics([1.0], [0.0], cut="closest")
    with pytest.raises(OodlibError, match="aupr='spline' is unknown"):
        bootstrap_metrics({"a": ([1.0], [0.0])}, aupr="spline")
    with pytest.raises(OodlibError, match="recall is 95"):
        fpr_at_recall([1.0], [0.0], recall=95)


def two_detectors(n_id=60, n_ood=40, seed=3):
    rng = np.random.default_rng(seed)
    id_scores, ood_scores = rng.normal(1, 1, n_id), rng.normal(0, 1, n_ood)
    blunt = np.round(id_scores + rng.normal(0, 0.5, n_id)), np.round(ood_scores + rng.normal(0, 0.5, n_ood))
    return {"sharp": (id_scores, ood_scores), "blunt": blunt}


@pytest.mark.parametrize("cut", ["first", "nearest"])
@pytest.mark.parametrize("aupr", ["step", "trapezoid"])
def test_a_replicate_is_the_metrics_of_the_resampled_pictures(cut, aupr):
    scores = two_detectors()
    boot = bootstrap_metrics(scores, n_boot=50, seed=7, cut=cut, aupr=aupr)
    id_stream, ood_stream = np.random.default_rng(7).spawn(2)
    for row in range(50):
        id_draw, ood_draw = id_stream.integers(60, size=60), ood_stream.integers(40, size=40)
        for name, (id_scores, ood_scores) in scores.items():
            expected = ood_metrics(id_scores[id_draw], ood_scores[ood_draw], cut=cut, aupr=aupr)
            for found, metric in zip(boot.replicates[name][row], METRICS, strict=True):
                tolerance = 1e-14 if metric.startswith("aupr") else 0
                assert found == pytest.approx(expected[metric], abs=tolerance, rel=0), (row, name, metric)


def test_values_are_the_metrics_of_the_scores_themselves():
    scores = two_detectors()
    boot = bootstrap_metrics(scores, n_boot=10, cut="nearest", aupr="trapezoid")
    assert boot.values == {name: ood_metrics(*pair, cut="nearest", aupr="trapezoid") for name, pair in scores.items()}


def test_the_block_size_changes_nothing(monkeypatch):
    scores = two_detectors()
    whole = bootstrap_metrics(scores, n_boot=30)
    monkeypatch.setattr(metrics, "_CELLS", 1)
    metrics._drawn.cache_clear()
    for name, rows in bootstrap_metrics(scores, n_boot=30).replicates.items():
        np.testing.assert_array_equal(rows, whole.replicates[name])


def test_the_seed_decides():
    scores = two_detectors()
    first, again, other = (bootstrap_metrics(scores, n_boot=20, seed=s).interval("sharp") for s in (1, 1, 2))
    np.testing.assert_equal(first, again)
    assert first["auroc"] != other["auroc"]


def test_draws_are_shared_between_detectors():
    scores = two_detectors()
    alone = bootstrap_metrics({"sharp": scores["sharp"]}, n_boot=20)
    both = bootstrap_metrics({"copy": scores["sharp"], **scores}, n_boot=20)
    np.testing.assert_array_equal(alone.replicates["sharp"], both.replicates["sharp"])
    differences = both.difference("sharp", "copy")
    assert differences.pop("detection_accuracy")[0] == 0
    assert all(found == (0, 0, 0) for found in differences.values())


def test_a_paired_difference_is_sharper_than_two_intervals():
    rng = np.random.default_rng(0)
    id_scores, ood_scores = rng.normal(1, 1, 400), rng.normal(0, 1, 400)
    nearly = id_scores + rng.normal(0, 0.3, 400), ood_scores + rng.normal(0, 0.3, 400)
    boot = bootstrap_metrics({"a": (id_scores, ood_scores), "b": nearly}, n_boot=300)
    value, low, high = boot.difference("a", "b")["auroc"]
    assert value == boot.values["a"]["auroc"] - boot.values["b"]["auroc"]
    assert low <= value <= high
    (a_low, a_high), (b_low, b_high) = boot.interval("a")["auroc"], boot.interval("b")["auroc"]
    assert high - low < 0.6 * ((a_high - a_low) ** 2 + (b_high - b_low) ** 2) ** 0.5


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truth = norm.cdf(1 / np.sqrt(2))  # the AUROC of N(1, 1) against N(0, 1)
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        pair = rng.normal(1, 1, 80), rng.normal(0, 1, 80)
        low, high = bootstrap_metrics({"a": pair}, n_boot=200, level=0.9).interval("a")["auroc"]
        hits += low <= truth <= high
    assert 0.85 <= hits / 300 <= 0.94


def test_a_wider_level_gives_a_wider_interval():
    scores = two_detectors()
    narrow = bootstrap_metrics(scores, n_boot=200, level=0.5).interval("sharp")
    wide = bootstrap_metrics(scores, n_boot=200, level=0.95).interval("sharp")
    for metric in set(METRICS) - {"detection_accuracy"}:
        assert wide[metric][0] <= narrow[metric][0] <= narrow[metric][1] <= wide[metric][1]


def test_one_picture_on_each_side_is_enough():
    boot = bootstrap_metrics({"a": ([1.0], [0.0])}, n_boot=5)
    assert boot.interval("a")["auroc"] == (1, 1)


def test_says_what_is_wrong_with_a_bootstrap():
    with pytest.raises(OodlibError, match="the same pictures, but got a: 2 ID, 1 OOD; b: 1 ID, 1 OOD"):
        bootstrap_metrics({"a": ([1.0, 2.0], [0.0]), "b": ([1.0], [0.0])})
    with pytest.raises(OodlibError, match="got none"):
        bootstrap_metrics({})
    with pytest.raises(OodlibError, match="OOD scores of 'a' is empty"):
        bootstrap_metrics({"a": ([1.0], [])})
    with pytest.raises(OodlibError, match="n_boot=0"):
        bootstrap_metrics({"a": ([1.0], [0.0])}, n_boot=0)
    with pytest.raises(OodlibError, match="level=95"):
        bootstrap_metrics({"a": ([1.0], [0.0])}, level=95)
    with pytest.raises(OodlibError, match="no scores of 'b' here: choose from a"):
        bootstrap_metrics({"a": ([1.0], [0.0])}, n_boot=1).difference("a", "b")


def sorted_scores(n_id, *n_ood):
    """ID scores, and for each OOD set its own, from low to high, as pictures of one class often come after another."""
    random = np.random.default_rng(11)
    return np.sort(random.normal(1.0, 1.0, n_id)), [
        np.sort(random.normal(0.3 * k, 1.0, n)) for k, n in enumerate(n_ood)
    ]


def mean_by_hand(inside, others, n_boot, seed):
    """Replicates of the mean AUROC: the ID pictures drawn once for all sets, each OOD set by itself."""
    id_stream, *streams = np.random.default_rng(seed).spawn(1 + len(others))
    kept = [inside[rows] for rows in id_stream.integers(len(inside), size=(n_boot, len(inside)))]
    areas = []
    for stream, other in zip(streams, others, strict=True):
        drawn = [other[rows] for rows in stream.integers(len(other), size=(n_boot, len(other)))]
        areas.append([np.mean(i[:, None] > o) + np.mean(i[:, None] == o) / 2 for i, o in zip(kept, drawn, strict=True)])
    return np.mean(areas, axis=0)


def test_a_mean_is_that_of_a_bootstrap_written_out(monkeypatch):
    """With blocks so small that the sets, which differ in size, are drawn in different numbers of blocks."""
    monkeypatch.setattr(metrics, "_CELLS", 2000)
    inside, others = sorted_scores(60, 40, 90)
    parts = [bootstrap_metrics({"a": (inside, o)}, n_boot=80, seed=3, ood_stream=k) for k, o in enumerate(others)]
    mean = metrics.Bootstrap.mean(parts)
    for name in METRICS:
        assert mean.values["a"][name] == pytest.approx(np.mean([ood_metrics(inside, o)[name] for o in others]))
    by_hand = mean_by_hand(inside, others, 80, seed=3)
    np.testing.assert_allclose(mean.replicates["a"][:, METRICS.index("auroc")], by_hand, rtol=1e-12)
    assert mean.interval("a")["auroc"] == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), rel=1e-12)


def test_the_sets_of_a_mean_are_drawn_apart_from_each_other():
    """Equal draws of OOD sets of one size would move all the same way, and widen the interval of their mean."""
    inside = np.sort(np.random.default_rng(1).normal(1.0, 1.0, 4000))  # so many that the OOD pictures decide
    other = np.sort(np.random.default_rng(2).normal(0.0, 1.0, 100))
    apart = [bootstrap_metrics({"a": (inside, other)}, n_boot=300, ood_stream=k) for k in range(4)]
    spreads = [part.replicates["a"][:, METRICS.index("auroc")].std() for part in apart]
    mean = metrics.Bootstrap.mean(apart).replicates["a"][:, METRICS.index("auroc")].std()
    assert mean < 0.65 * min(spreads), "the mean of four independent sets varies half as much as one"


def test_the_first_stream_is_that_of_a_set_alone():
    inside, (other,) = sorted_scores(30, 20)
    alone, first = (bootstrap_metrics({"a": (inside, other)}, n_boot=50, **k) for k in ({}, {"ood_stream": 0}))
    np.testing.assert_array_equal(alone.replicates["a"], first.replicates["a"])


def test_the_mean_of_one_set_is_that_set_and_differences_stay_paired():
    inside, others = sorted_scores(30, 20, 25)
    pairs = [{"a": (inside, other), "b": (-inside, -other)} for other in others]
    parts = [bootstrap_metrics(pair, n_boot=60, ood_stream=k) for k, pair in enumerate(pairs)]
    one = metrics.Bootstrap.mean(parts[:1])
    assert one.values == parts[0].values
    np.testing.assert_equal(one.interval("b"), parts[0].interval("b"))
    assert one.level == parts[0].level
    value, low, high = metrics.Bootstrap.mean(parts).difference("a", "b")["auroc"]
    assert value == pytest.approx(np.mean([part.difference("a", "b")["auroc"][0] for part in parts]))
    assert low < value < high


@pytest.fixture(scope="module")
def repeated():
    """Bootstraps of 100 samples from two normal laws one apart, and the truth: a metric of the laws themselves."""
    rng = np.random.default_rng(0)
    samples = [{"a": (rng.normal(1, 1, 150), rng.normal(0, 1, 150))} for _ in range(100)]
    laws = ood_metrics(rng.normal(1, 1, 200_000), rng.normal(0, 1, 200_000))
    return laws, [bootstrap_metrics(sample, n_boot=200) for sample in samples]


@pytest.mark.parametrize("metric", ["auroc", "aupr_in", "aupr_out", "fpr95", "fpr95_ood"])
def test_intervals_cover_what_they_say(repeated, metric):
    truth, boots = repeated
    covered = [low <= truth[metric] <= high for low, high in (boot.interval("a")[metric] for boot in boots)]
    assert np.mean(covered) >= 0.88  # 95 of 100 samples, less three standard errors


def test_the_best_of_many_cuts_has_no_interval(repeated):
    """Its percentiles would cover the truth in 75 to 89 of 100 samples: a resample's best cut is better still."""
    truth, boots = repeated
    column = METRICS.index("detection_accuracy")
    bounds = [np.quantile(boot.replicates["a"][:, column], [0.025, 0.975]) for boot in boots]
    assert np.mean([low <= truth["detection_accuracy"] <= high for low, high in bounds]) < 0.9
    assert np.isnan(boots[0].interval("a")["detection_accuracy"]).all()
    value, *ends = boots[0].difference("a", "a")["detection_accuracy"]
    assert value == 0
    assert np.isnan(ends).all()
