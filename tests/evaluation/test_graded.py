import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from oodlib.errors import OodlibError
from oodlib.evaluation.graded import as_released, concept_draws, grid, slope_draws, trend

COLUMNS = {"fpr95": "FPR@95", "auroc": "AUROC", "aupr_in": "AUPR_IN", "aupr_out": "AUPR_OUT"}
AXES = {"sem": "semantic", "cov": "covariate"}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", ["imagenet21k", "synis"])
def test_released_analysis(golden, column, name):
    g = golden("isood")
    # The authors' tables have one row for each covariate level; here rows are semantic.
    shares = g[f"csv_{name}"][:, :, list(g["columns"]).index(COLUMNS[column])].T / 100
    for short, axis in AXES.items():
        found = trend(as_released(shares), axis)
        assert found.slope == pytest.approx(g[f"slope_{column}_{name}_{short}"], abs=1e-9)
        assert found.pearson == pytest.approx(g[f"pearson_{column}_{name}_{short}"], abs=1e-9)
        centred = found.means - found.means.mean()
        np.testing.assert_allclose(centred, g[f"centred_mean_{column}_{name}_{short}"], atol=1e-9)


def test_metrics_of_a_cell(golden):
    g = golden("isood")
    ood = g["conf_ood"]
    levels = np.zeros(len(ood), dtype=int)
    values = grid(g["conf_id"], ood, levels, levels, aupr="trapezoid").values
    found = [values[metric][0, 0] for metric in ("fpr95_ood", "auroc", "aupr_in", "aupr_out")]
    np.testing.assert_allclose(found, g["metrics_fpr_auroc_auprin_auprout"], atol=1e-9)


def test_a_perfect_cell_is_lost_in_the_released_reading():
    values = np.array([[0.30, 0.20], [0.20, 0.10], [0.10, 0.0]])
    assert trend(values, "semantic").slope == pytest.approx(-0.10)
    assert trend(as_released(values), "semantic").means == pytest.approx([25, 15, 10])  # and not 5
    assert trend(as_released(values), "semantic").slope == pytest.approx(-7.5)  # and not -10


def made_up(seed=0, n=60, m=400):
    rng = np.random.default_rng(seed)
    semantic, covariate = rng.integers(0, 3, m), rng.integers(0, 4, m)
    scores = (rng.normal(size=m) - 0.5 * semantic - 0.2 * covariate).round(1)
    return rng.normal(size=n).round(1), scores, semantic, covariate


def test_cells_are_those_of_a_plain_loop():
    inside, scores, semantic, covariate = made_up()
    found = grid(inside, scores, semantic, covariate)
    for row in range(3):
        for column in range(4):
            cell = scores[(semantic == row) & (covariate == column)]
            truth = np.r_[np.ones(len(inside)), np.zeros(len(cell))]
            assert found.counts[row, column] == len(cell)
            assert found.values["auroc"][row, column] == pytest.approx(roc_auc_score(truth, np.r_[inside, cell]))
    means = found.values["auroc"].mean(axis=1)
    line = trend(found.values["auroc"], "semantic")
    assert line.slope == pytest.approx(np.polyfit(range(3), means, 1)[0])
    assert line.pearson == pytest.approx(np.corrcoef(range(3), means)[0, 1])


@given(st.integers(0, 100), st.floats(0.1, 5))
def test_order_of_pictures_and_monotone_transforms_do_not_matter(seed, scale):
    inside, scores, semantic, covariate = made_up(seed, 20, 80)
    shuffled = np.random.default_rng(seed).permutation(len(scores))
    first = grid(inside, scores, semantic, covariate, smallest=3)
    second = grid(
        np.exp(scale * inside), np.exp(scale * scores[shuffled]), semantic[shuffled], covariate[shuffled], smallest=3
    )
    for metric, values in first.values.items():
        np.testing.assert_allclose(values, second.values[metric], atol=1e-12)


def test_empty_cells_and_single_levels():
    inside, scores, semantic, covariate = made_up()
    rare = (semantic == 2) & (covariate == 3)
    keep = ~rare | (np.cumsum(rare) <= 9)
    values = grid(inside, scores[keep], semantic[keep], covariate[keep]).values["auroc"]
    assert np.isnan(values[2, 3])
    assert np.isfinite(values).sum() == 11
    assert trend(values, "semantic").means[2] == pytest.approx(values[2, :3].mean())
    one = trend(values[:1], "semantic")
    assert np.isnan(one.slope)
    assert np.isnan(one.pearson)
    assert np.isnan(trend(np.full((2, 2), np.nan), "covariate").slope)
    # A level without any cell is left out, and the line goes through the others at their places.
    assert trend(np.array([[0.1], [np.nan], [0.5]]), "semantic").slope == pytest.approx(0.2)


def test_draws_of_everything_once_are_the_slopes_themselves():
    inside, scores, semantic, covariate = made_up()
    once = slope_draws(
        inside, scores, semantic, covariate, id_weights=np.ones((2, len(inside))), weights=np.ones((2, len(scores)))
    )
    values = grid(inside, scores, semantic, covariate, smallest=1).values["auroc"]
    for axis, slopes in once.items():
        np.testing.assert_allclose(slopes, trend(values, axis).slope)


def test_a_draw_equals_the_table_of_the_drawn_pictures():
    inside, scores, semantic, covariate = made_up()
    rng = np.random.default_rng(1)
    ids, others = rng.integers(0, 3, len(inside)), rng.integers(0, 3, len(scores))
    drawn = slope_draws(
        inside, scores, semantic, covariate, id_weights=ids[None].astype(float), weights=others[None].astype(float)
    )
    again = grid(
        np.repeat(inside, ids),
        *(np.repeat(values, others) for values in (scores, semantic, covariate)),
        smallest=1,
    )
    assert drawn["covariate"][0] == pytest.approx(trend(again.values["auroc"], "covariate").slope)


def test_concepts_are_drawn_whole():
    first, second = concept_draws(["a", "b", "a"], ["b", "c"], n_boot=300, seed=0)
    np.testing.assert_array_equal(first[:, 0], first[:, 2])
    np.testing.assert_array_equal(first[:, 1], second[:, 0])
    assert first[:, :2].sum(1) + second[:, 1] == pytest.approx(3)
    assert first.std() > 0


@pytest.mark.parametrize("levels", [[0, -1, 0], [0, 1], [0.5, 1, 2], [[0, 1, 2]]])
def test_bad_levels(levels):
    with pytest.raises(OodlibError, match="semantic must hold a level"):
        grid([1.0, 2.0], [1.0, 2.0, 3.0], levels, [0, 0, 0])


@pytest.mark.parametrize(("values", "axis"), [(np.ones(3), "semantic"), (np.ones((0, 2)), "semantic"), (np.eye(2), 0)])
def test_bad_tables(values, axis):
    with pytest.raises(OodlibError, match="axis"):
        trend(values, axis)
