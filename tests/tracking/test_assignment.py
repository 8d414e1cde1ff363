"""assignment.py against every permutation of small problems."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest

from mot_reid.tracking import assignment
from mot_reid.tracking.assignment import cut, gated, mutual, one_to_one


def matchings(rows: int, columns: int):
    """Every set of pairs that uses each row and each column once at most."""
    for size in range(min(rows, columns) + 1):
        for chosen in combinations(range(rows), size):
            for order in permutations(range(columns), size):
                yield list(zip(chosen, order))


def sparse_problem(seed: int, density: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 6, 2)
    cost = np.where(rng.random(shape) < density, rng.random(shape), 1.0)
    row, column = np.nonzero(cost < 1.0)
    return cost, row, column, cost[row, column]


@pytest.mark.parametrize("few", [0, 48])
def test_gated_is_the_cheapest_when_a_pair_competes_with_leaving_both_alone(few, monkeypatch):
    monkeypatch.setattr(assignment, "_FEW", few)
    limit = 0.7
    for seed in range(150):
        dense, row, column, cost = sparse_problem(seed)
        below = cost < limit
        row, column, cost = row[below], column[below], cost[below]
        chosen = gated(row, column, cost, limit=limit)
        best = min(sum(dense[pair] - limit for pair in pairs) for pairs in matchings(*dense.shape))
        assert (cost[chosen] - limit).sum() == pytest.approx(best), seed
        assert len(set(row[chosen])) == len(set(column[chosen])) == len(chosen)


@pytest.mark.parametrize("few", [0, 48])
def test_cut_is_the_largest_total(few, monkeypatch):
    monkeypatch.setattr(assignment, "_FEW", few)
    for seed in range(150):
        dense, row, column, cost = sparse_problem(seed)
        chosen = cut(row, column, 1.0 - cost)
        best = max(sum(1.0 - dense[pair] for pair in pairs) for pairs in matchings(*dense.shape))
        assert (1.0 - cost[chosen]).sum() == pytest.approx(best), seed


def test_gated_and_cut_differ_on_the_textbook_case():
    """[[.10, .45], [.45, .95]] with limit .5: cut takes the off-diagonal pairs, gated the one cheap pair."""
    row, column = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    cost = np.array([0.10, 0.45, 0.45, 0.95])
    assert sorted(cut(row, column, 1.0 - cost)) == [1, 2]
    below = cost < 0.5
    assert gated(row[below], column[below], cost[below], limit=0.5).tolist() == [0]


def test_gated_equals_solving_the_clipped_matrix():
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(0)
    for _ in range(200):
        dense, limit = rng.random((8, 7)), 0.4
        r, c = linear_sum_assignment(np.minimum(dense, limit))
        expected = {(a, b) for a, b in zip(r.tolist(), c.tolist()) if dense[a, b] < limit}
        row, column = np.nonzero(dense < limit)
        chosen = gated(row, column, dense[row, column], limit=limit)
        assert {(row[k], column[k]) for k in chosen} == expected


def test_one_to_one_sees_a_repeated_row_and_a_repeated_column():
    assert one_to_one(np.array([0, 2]), np.array([1, 0]))
    assert not one_to_one(np.array([0, 0]), np.array([1, 0]))
    assert not one_to_one(np.array([0, 1]), np.array([1, 1]))


def test_no_candidates_form_no_pairs():
    nothing = np.zeros(0, np.int64)
    assert len(gated(nothing, nothing, np.zeros(0), limit=0.5)) == len(cut(nothing, nothing, np.zeros(0))) == 0


@pytest.mark.parametrize("seed", range(20))
def test_mutual_pairs_are_those_of_the_rounds_on_a_table(seed):
    """A naive oracle: in each round, every pair that is the least of its row and of its column and below the limit."""
    rng = np.random.default_rng(seed)
    table = rng.random((6, 7))
    left, limit, expected = table.copy(), 0.7, set()
    while True:
        formed = [
            (i, j)
            for i in range(6)
            for j in range(7)
            if left[i, j] == left[i].min() == left[:, j].min() and left[i, j] < limit
        ]
        if not formed:
            break
        expected |= set(formed)
        for i, j in formed:
            left[i, :] = left[:, j] = np.inf
        limit -= 0.05
    row, column = (part.ravel() for part in np.indices(table.shape))
    chosen = mutual(row, column, table.ravel(), limit=0.7, step=0.05)
    assert set(zip(row[chosen].tolist(), column[chosen].tolist())) == expected
