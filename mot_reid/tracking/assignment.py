"""Which pairs are formed: two policies that look alike and differ.

Candidates are lists of pairs (row of a track, row of a box), sorted by nothing in particular, each pair at most once.
Only where a track or a box has several candidates is anything solved; all other pairs are decided by themselves, and
that gives the same answer as solving the whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.int64]


def gated(row: IntArray, column: IntArray, cost: FloatArray, *, limit: float) -> IntArray:
    """Returns the indices of the pairs that are formed when a pair must be cheaper than leaving both alone.

    Equals clipping a dense cost matrix at `limit`, solving it and dropping the pairs at the limit (the `cost_limit` of
    `lap.lapjv`).

    Args:
        row: `(K,)` track of each candidate.
        column: `(K,)` box of each candidate.
        cost: `(K,)`; every value below `limit`.
        limit: cost of leaving a track and a box alone.
    """
    return _solve(row, column, limit - cost)


def cut(row: IntArray, column: IntArray, gain: FloatArray) -> IntArray:
    """Returns the indices of the pairs of the largest total gain, whatever each one is worth.

    Args:
        row: `(K,)` track of each candidate.
        column: `(K,)` box of each candidate.
        gain: `(K,)`, 0 or more; a pair that is no candidate gains 0. The caller drops the formed pairs that it does
            not accept; they have displaced others by then, which is what tells this policy from `gated`.
    """
    return _solve(row, column, gain)


def one_to_one(row: IntArray, column: IntArray) -> bool:
    """Returns whether no track and no box has two candidates."""
    count = len(row)
    if count < 2:
        return True
    rows, columns = row.tolist(), column.tolist()
    return len(set(rows)) == count and len(set(columns)) == count


def _solve(row: IntArray, column: IntArray, gain: FloatArray) -> IntArray:
    """Returns the indices of the matching of largest total gain; gains are 0 or more."""
    if one_to_one(row, column):
        return np.arange(len(row))
    alone = (np.bincount(row)[row] == 1) & (np.bincount(column)[column] == 1)
    tangled = np.flatnonzero(~alone)
    return np.concatenate((np.flatnonzero(alone), tangled[_solve_dense(row[tangled], column[tangled], gain[tangled])]))


def _solve_dense(row: IntArray, column: IntArray, gain: FloatArray) -> IntArray:
    rows, r = np.unique(row, return_inverse=True)
    columns, c = np.unique(column, return_inverse=True)
    index = np.full((len(rows), len(columns)), -1)
    index[r, c] = np.arange(len(row))
    matrix = np.zeros(index.shape)
    matrix[r, c] = gain
    chosen = index[linear_sum_assignment(matrix, maximize=True)]
    return chosen[chosen >= 0]
