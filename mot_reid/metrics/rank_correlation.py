"""Do two scores put the same things in the same order?"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from mot_reid.arrays import FloatArray


def rank_correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Returns Spearman's rank correlation along the last axis, from -1 to 1; 0 where one of the two never differs.

    Args:
        first: (..., E) scores of E things; equal scores share the mean of their ranks.
        second: (..., E) other scores of the same things.

    Raises:
        ValueError: they are fewer than two, or not equally many.
    """
    if first.shape[-1] != second.shape[-1] or first.shape[-1] < 2:
        raise ValueError(
            f"second: got {second.shape[-1]} scores beside {first.shape[-1]}; expected equally many, at least 2"
        )
    ranks = [rankdata(scores, axis=-1) for scores in (first, second)]
    left, right = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    spread = np.sqrt((left**2).sum(axis=-1) * (right**2).sum(axis=-1))
    return (left * right).sum(axis=-1) / np.where(spread > 0, spread, 1)
