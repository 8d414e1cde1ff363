"""Ranks against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from mot_reid.metrics.rank_correlation import rank_correlation


def test_each_row_is_what_scipy_says_with_ties() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (2, 50, 7)).astype(float)
    expected = [spearmanr(a, b).statistic for a, b in zip(first, second)]
    assert rank_correlation(first, second) == pytest.approx(expected)


def test_same_order_is_one_and_the_opposite_minus_one() -> None:
    scores = np.array([0.1, 0.2, 0.9])
    assert rank_correlation(scores, scores**3) == pytest.approx(1)
    assert rank_correlation(scores, -scores) == pytest.approx(-1)


def test_scores_that_do_not_differ_say_nothing() -> None:
    assert rank_correlation(np.ones(4), np.arange(4.0)) == 0


@pytest.mark.parametrize(("first", "second"), [(3, 4), (1, 1)])
def test_scores_that_cannot_be_ranked_are_refused(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="expected equally many, at least 2"):
        rank_correlation(np.ones(first), np.ones(second))
