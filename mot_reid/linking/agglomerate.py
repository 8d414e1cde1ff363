"""Average linkage with constraints: the two most similar groups that may be one are joined, again and again."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from mot_reid.arrays import Float32Array, IntArray
from mot_reid.linking.tracklets import Constraints


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
        self._sum = {
            n: embedding[rows[0]].astype(float) if len(rows) == 1 else embedding[rows].sum(0, dtype=float)
            for n, rows in self._rows.items()
        }
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
        for one, other in zip(a.tolist(), b.tolist()):
            self._meet(self._of[one], self._of[other], least)
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

    def _similarity(self, one: int, other: int) -> float:
        return float(self._sum[one] @ self._sum[other]) / (len(self._rows[one]) * len(self._rows[other]))

    def _meet(self, one: int, other: int, least: float) -> None:
        """Puts two groups in the queue if they are similar enough; remembers them as neighbours in any case."""
        if one == other or other in self._near[one]:
            return
        self._near[one].add(other)
        self._near[other].add(one)
        similarity = self._similarity(one, other)
        if similarity >= least:
            heapq.heappush(self._queue, (-similarity, min(one, other), max(one, other)))

    def _merge(self, one: int, other: int, similarity: float, least: float) -> Merge:
        near = (self._near[one] | self._near[other]) - {one, other}
        rivals = [self._similarity(n, side) for side in (one, other) for n in self._near[side] - {one, other}]
        merge = Merge(tuple(self._rows[one]), tuple(self._rows[other]), similarity, max(rivals, default=None))
        new = self._made = self._made + 1
        self._rows[new] = self._rows.pop(one) + self._rows.pop(other)
        self._sum[new] = self._sum.pop(one) + self._sum.pop(other)
        self._near[new] = set()
        for n in near:
            self._near[n] -= {one, other}
        del self._near[one], self._near[other]
        for n in near:
            self._meet(new, n, least)
        return merge
