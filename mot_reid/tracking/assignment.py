"""Which pairs are formed: two policies that look alike and differ, and one of rounds.

Candidates are lists of pairs (row of a track, row of a box), sorted by nothing in particular, each pair at most once.
Only where a track or a box has several candidates is anything solved; all other pairs are decided by themselves, and
that gives the same answer as solving the whole.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from mot_reid.arrays import FloatArray, IntArray

# Below this many candidates it is not worth setting aside those that are decided by themselves.
_FEW = 48


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


def mutual(row: IntArray, column: IntArray, cost: FloatArray, *, limit: float, step: float) -> IntArray:
    """Returns the indices of the pairs in which each is the other's cheapest, found in rounds (TrackTrack).

    Args:
        row: `(K,)` track of each candidate.
        column: `(K,)` box of each candidate.
        cost: `(K,)`.
        limit: what the pairs of the first round must be cheaper than.
        step: by how much the limit falls from round to round.
    """
    chosen = [np.zeros(0, np.int64)]
    left = cost.argsort(kind="stable")
    while True:
        left = left[cost.take(left) < limit]
        if not len(left):
            return np.concatenate(chosen)
        best_of_row = np.unique(row.take(left), return_index=True)[1]
        best_of_column = np.unique(column.take(left), return_index=True)[1]
        formed = left.take(np.intersect1d(best_of_row, best_of_column))
        chosen.append(formed)
        left = left[~np.isin(row.take(left), row.take(formed)) & ~np.isin(column.take(left), column.take(formed))]
        limit -= step


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
    if len(row) < _FEW:
        rows, columns, gains = row.tolist(), column.tolist(), gain.tolist()
        growing = sorted(range(len(gains)), key=gains.__getitem__, reverse=True)[::-1]  # of equals the first comes last
        best = _best_of_each(rows, columns, growing) or _best_of_each(columns, rows, growing)
        return _solve_dense(row, column, gain) if best is None else np.array(best, np.int64)
    alone = (np.bincount(row)[row] == 1) & (np.bincount(column)[column] == 1)
    tangled = np.flatnonzero(~alone)
    return np.concatenate((np.flatnonzero(alone), tangled[_solve_dense(row[tangled], column[tangled], gain[tangled])]))


def _best_of_each(rows: list[int], columns: list[int], growing: list[int]) -> list[int] | None:
    """Returns the best pair of each row if these share no column: then no matching can gain more. Else None.

    With the first two arguments exchanged, the best pair of each column.

    Args:
        growing: indices of the pairs by growing gain.
    """
    best = {rows[index]: index for index in growing}  # the last one of a row stays
    chosen = sorted(best.values())
    return chosen if len({columns[index] for index in chosen}) == len(chosen) else None


def _solve_dense(row: IntArray, column: IntArray, gain: FloatArray) -> IntArray:
    # Dictionaries beat np.unique at the sizes of most frames.
    rows, columns = row.tolist(), column.tolist()
    row_at = {value: at for at, value in enumerate(dict.fromkeys(rows))}
    column_at = {value: at for at, value in enumerate(dict.fromkeys(columns))}
    width = len(column_at)
    flat = [row_at[r] * width + column_at[c] for r, c in zip(rows, columns)]
    matrix = np.zeros(len(row_at) * width)
    matrix[flat] = gain
    chosen_row, chosen_column = linear_sum_assignment(matrix.reshape(-1, width), maximize=True)
    at = {place: index for index, place in enumerate(flat)}
    found = [at.get(place, -1) for place in (chosen_row * width + chosen_column).tolist()]
    return np.array([index for index in found if index >= 0], np.int64)
