"""Which pairs of tracklets are similar enough to be worth a look? Found tile by tile, without a table of all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import Float32Array, FloatArray, IntArray

MOST_EACH = 200
"""A pair is kept if it is among so many most similar ones of either tracklet."""
_TILE = 2048
_BINS, _RANGE = 2000, (-1.0, 1.001)


@dataclass(frozen=True, slots=True, eq=False)
class SimilarPairs:
    """Pairs of tracklets, the most similar first.

    Attributes:
        a: (K,) row of one tracklet of each pair, the lower one.
        b: (K,) row of the other.
        similarity: (K,) their similarity, falling.
        rank: (K,) number of all pairs that are at least as similar, those included that were not kept.
    """

    a: IntArray
    b: IntArray
    similarity: FloatArray
    rank: IntArray


def similar_pairs(embedding: Float32Array, least: float, *, most_each: int = MOST_EACH) -> SimilarPairs:
    """Returns the pairs that are at least so similar and among the most similar ones of either of their tracklets.

    Memory grows with `len(embedding)` times `most_each`, time with the square of `len(embedding)`.

    Args:
        embedding: (N, D).
        least: The least similarity.
        most_each: How many pairs of each tracklet are kept at least, where there are so many.
    """
    kept = _Kept(len(embedding), most_each)
    for top in range(0, len(embedding), _TILE):
        for left in range(top, len(embedding), _TILE):
            tile = embedding[top : top + _TILE] @ embedding[left : left + _TILE].T
            a, b = np.nonzero(tile >= least)
            if top == left:
                a, b = a[a < b], b[a < b]
            kept.add(a + top, b + left, tile[a, b])
    return kept.pairs()


class _Kept:
    """The most similar pairs of each row; what is dropped is counted by its similarity."""

    def __init__(self, rows: int, most_each: int) -> None:
        self._most_each, self._most = most_each, 2 * rows * most_each
        self._parts: list[tuple[NDArray[np.int32], NDArray[np.int32], Float32Array]] = []
        self._count = 0
        self._dropped = np.zeros(_BINS, np.int64)

    def add(self, a: IntArray, b: IntArray, similarity: Float32Array) -> None:
        self._parts.append((a.astype(np.int32), b.astype(np.int32), similarity.astype(np.float32)))
        self._count += len(a)
        if self._count > self._most:
            self._shorten()

    def pairs(self) -> SimilarPairs:
        """Returns what is kept, in its order."""
        if not self._count:
            return SimilarPairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
        self._shorten()
        a, b, similarity = self._parts[0]
        order = np.lexsort((b, a, -similarity))
        found = similarity[order].astype(float)
        above = np.append(np.cumsum(self._dropped[::-1])[::-1], 0)
        rank = np.arange(1, len(order) + 1) + above[_bin(found) + 1]
        return SimilarPairs(a[order].astype(np.int64), b[order].astype(np.int64), found, rank)

    def _shorten(self) -> None:
        """Drops the pairs that are among the most similar ones of neither of their rows."""
        a, b, similarity = (np.concatenate(column) for column in zip(*self._parts))
        row = np.concatenate([a, b])
        order = np.lexsort((np.tile(-similarity, 2), row))
        place = np.arange(len(row)) - np.searchsorted(row[order], row[order])
        good = np.zeros(len(row), bool)
        good[order[place < self._most_each]] = True
        either = good[: len(a)] | good[len(a) :]
        self._dropped += np.bincount(_bin(similarity[~either]), minlength=_BINS)
        self._parts = [(a[either], b[either], similarity[either])]
        self._count = int(either.sum())


def _bin(similarity: Float32Array | FloatArray) -> IntArray:
    low, high = _RANGE
    return np.clip((similarity.astype(float) - low) / (high - low) * _BINS, 0, _BINS - 1).astype(np.int64)
