"""The short way to the AUROC gives the numbers of the long one, whatever is drawn how often."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oodlib.evaluation.ranking import METRICS, Ranking


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.lists(st.integers(-3, 3), min_size=1, max_size=30))
def test_auroc_alone_is_that_of_evaluate(id_scores, ood_scores):
    ranking = Ranking.of(np.array(id_scores, dtype=float), np.array(ood_scores, dtype=float))
    rng = np.random.default_rng(0)
    weights = [rng.integers(0, 3, (5, len(some))).astype(float) for some in (id_scores, ood_scores)]
    for some in weights:
        some[:, 0] += 1  # a resample draws some picture
    expected = ranking.evaluate(*weights, "first", "step")[:, METRICS.index("auroc")]
    np.testing.assert_array_equal(ranking.auroc(*weights), expected)
