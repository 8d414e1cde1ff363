"""Average linkage with constraints: the two most similar groups that may be one are joined, again and again."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from mot_reid.arrays import Float32Array, IntArray
from mot_reid.linking.tracklets import Constraints

_AT_ONCE = 65536


@dataclass(frozen=True, slots=True)
class Merge:
    """Two groups that were joined.

    Attributes:
        left: Rows of one group.
        right: Rows of the other.
        similarity: Mean similarity of all their pairs.
        runner_up: The highest mean similarity of either to a third group at that moment; None: below the least one.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    similarity: float
    runner_up: float | None


class Groups:
    """Groups of rows that grow by joining.

    The mean similarity of all pairs of two groups is the product of their summed embeddings by their sizes: exact,
    however large they are. A mean is never above the highest of its pairs, so groups without a pair above the least
    similarity need not be looked at.

    Args:
        embedding: (N, D).
        constraints: Who cannot be who.
        must: Rows that are one person, each group once; all others begin alone.
    """

    def __init__(self, embedding: Float32Array, constraints: Constraints, must: list[list[int]]) -> None:
        taken = {row for group in must for row in group}
        groups = must + [[row] for row in range(len(embedding)) if row not in taken]
        self._constraints = constraints
        self._rows = dict(enumerate(groups))
        self._sum = np.zeros((len(groups), embedding.shape[1]))
        np.add.at(self._sum, _labels(groups), embedding[[row for rows in groups for row in rows]])
        self._size = np.array([len(rows) for rows in groups], dtype=np.int64)
        self._slot = {n: n for n in self._rows}
        self._near: dict[int, set[int]] = {n: set() for n in self._rows}
        self._of = {row: n for n, rows in self._rows.items() for row in rows}
        self._queue: list[tuple[float, int, int]] = []
        self._made = len(groups)

    def join(self, a: IntArray, b: IntArray, least: float) -> list[Merge]:
        """Joins groups until no two that may be one are similar enough; returns what was joined, in its order.

        Args:
            a: (K,) one row of each pair that is similar enough.
            b: (K,) the other.
            least: The least mean similarity of groups that are joined.
        """
        for start in range(0, len(a), _AT_ONCE):
            self._begin(a[start : start + _AT_ONCE], b[start : start + _AT_ONCE], least)
        heapq.heapify(self._queue)
        merges = []
        while self._queue:
            similarity, one, other = heapq.heappop(self._queue)
            if one in self._rows and other in self._rows:
                if self._constraints.allow_all(self._rows[one], self._rows[other]):
                    merges.append(self._merge(one, other, -similarity, least))
                else:
                    self._near[one].discard(other)
                    self._near[other].discard(one)
        return merges

    def groups(self) -> list[list[int]]:
        """Returns the rows of every group."""
        return list(self._rows.values())

    def _begin(self, a: IntArray, b: IntArray, least: float) -> None:
        """Makes the groups of pairs of rows neighbours, and queues those that are similar enough."""
        one, other = (np.array([self._of[row] for row in side.tolist()], dtype=np.int64) for side in (a, b))
        total = np.einsum("kd,kd->k", self._sum[one], self._sum[other])
        similarity = total / (self._size[one] * self._size[other])
        for x, y, value in zip(one.tolist(), other.tolist(), similarity.tolist()):
            if x != y and y not in self._near[x]:
                self._near[x].add(y)
                self._near[y].add(x)
                if value >= least:
                    self._queue.append((-value, min(x, y), max(x, y)))

    def _similarities(self, one: int, others: list[int]) -> list[float]:
        """Returns the mean similarity of a group to each of others."""
        slot, slots = self._slot[one], [self._slot[other] for other in others]
        found: list[float] = (self._sum[slots] @ self._sum[slot] / (self._size[slot] * self._size[slots])).tolist()
        return found

    def _merge(self, one: int, other: int, similarity: float, least: float) -> Merge:
        rivals = [
            value
            for side, rival in ((one, other), (other, one))
            for value in self._similarities(side, list(self._near[side] - {rival}))
        ]
        merge = Merge(tuple(self._rows[one]), tuple(self._rows[other]), similarity, max(rivals, default=None))
        near = sorted((self._near.pop(one) | self._near.pop(other)) - {one, other})
        new = self._made = self._made + 1
        self._rows[new] = self._rows.pop(one) + self._rows.pop(other)
        slot, free = self._slot.pop(one), self._slot.pop(other)
        self._slot[new] = slot
        self._sum[slot] += self._sum[free]
        self._size[slot] += self._size[free]
        self._near[new] = set(near)
        for n, value in zip(near, self._similarities(new, near)):
            self._near[n] -= {one, other}
            self._near[n].add(new)
            if value >= least:
                heapq.heappush(self._queue, (-value, min(new, n), max(new, n)))
        return merge


def _labels(groups: list[list[int]]) -> IntArray:
    """Returns the number of the group of each row, group by group."""
    return np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
