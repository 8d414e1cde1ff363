"""How similar are all pairs of tracklets? Their numbers in narrow bins, kept up to date one tracklet at a time."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, IntArray
from mot_reid.linking.chance import BULK, CAUTION, Chance, moved

BINS = 2000
_EDGES = np.linspace(-1, 1, BINS + 1)[:-1]


class Spread:
    """Counts of the similarities of all pairs, in bins of 0.001 from -1 to 1.

    Attributes:
        counts: (2000,) pairs in each bin.
    """

    def __init__(self, counts: IntArray | None = None) -> None:
        """Begins with these counts, or with none."""
        self.counts = np.zeros(BINS, np.int64) if counts is None else np.array(counts, np.int64)

    def count(self, embedding: Float32Array, rows: IntArray, *, sign: int = 1) -> None:
        """Adds, or takes away, every pair that has one of these rows.

        Args:
            embedding: (N, D) of all tracklets.
            rows: (K,) rows, in rising order.
            sign: 1 adds, -1 takes away.
        """
        similarity = embedding[rows] @ embedding.T
        inside = np.isin(np.arange(len(embedding)), rows)
        once = ~inside[None] | (np.arange(len(embedding))[None] > rows[:, None])
        place = np.clip((similarity[once] + 1) / 2 * BINS, 0, BINS - 1).astype(np.int64)
        self.counts += sign * np.bincount(place, minlength=BINS)

    def strangers(self, known: Chance) -> Chance:
        """Returns the chance of strangers, brought to these similarities.

        Args:
            known: What the model's calibration states.
        """
        counts = np.maximum(self.counts, 0)
        pairs = int(counts.sum())
        if not pairs:
            return known
        below = np.cumsum(counts) / pairs
        return moved(known, np.interp(1 - np.array(BULK), below, _EDGES + 2 / BINS), pairs)

    def false_shares(self, strangers: Chance) -> FloatArray:
        """Returns (2000,) the share of strangers expected among the pairs from each bin upwards, as `false_shares`.

        Args:
            strangers: The chance of strangers.
        """
        counts = np.maximum(self.counts, 0)
        above = np.cumsum(counts[::-1])[::-1]
        expected = CAUTION * counts.sum() * strangers.rate(_EDGES)
        share = np.where(above > 0, np.minimum(expected / np.maximum(above, 1), 1), 1)
        return np.minimum.accumulate(share)

    @staticmethod
    def threshold(shares: FloatArray, most: float) -> float:
        """Returns the least similarity at which no more strangers are expected; above 1 where there is none.

        Args:
            shares: As `false_shares` returns them.
            most: Largest share of strangers.
        """
        good = np.flatnonzero(shares <= most)
        return float(_EDGES[good[0]]) if len(good) else 2.0

    @staticmethod
    def place(similarity: float) -> int:
        """Returns the bin of a similarity."""
        return int(np.clip((similarity + 1) / 2 * BINS, 0, BINS - 1))
