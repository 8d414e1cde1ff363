"""How often are strangers as alike as this? The model's stored calibration, brought to this footage's own strangers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, IntArray

_SAMPLED_ROWS = 1000
_TRUSTED_PAIRS = 1000
"""At so many pairs the footage counts as much as the stored calibration."""
BULK = (0.75, 0.5)
"""The shares of strangers whose similarity is compared: below the middle, where hardly any pair is of one person."""
_TAIL, _FLATTER = 1e-3, 0.7
"""Below this share strangers become rarer more slowly than the stored points say, which come from few persons: on
held-out persons by this power, measured down to 3e-5 (experiments/LOG.md)."""
CAUTION = 2.0
"""Strangers are counted twice, since the tail is an extrapolation; chosen on held-out persons (experiments/LOG.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """The share of pairs of strangers that are at least as similar: a line through the stored points, moved and scaled.

    Attributes:
        similarity: (R,) rising similarities of the stored calibration, brought to this footage.
        log_rate: (R,) natural logarithm of the share of pairs of strangers at or above.
    """

    similarity: FloatArray
    log_rate: FloatArray

    def rate(self, similarity: FloatArray | float) -> FloatArray:
        """Returns the share of pairs of strangers that are at least as similar.

        Beyond the stored points the last third of them is continued as a straight line on the logarithmic axis. Below
        one in a thousand it falls more slowly than that, as was observed on held-out persons.

        Args:
            similarity: Any shape.
        """
        value = np.asarray(similarity, dtype=float)
        inside = np.interp(value, self.similarity, self.log_rate)
        tail = slice(-max(2, len(self.similarity) // 3), None)
        slope = min(np.polyfit(self.similarity[tail], self.log_rate[tail], 1)[0], -1e-9)
        beyond = self.log_rate[-1] + slope * (value - self.similarity[-1])
        told = np.minimum(np.where(value > self.similarity[-1], beyond, inside), 0)
        least = np.log(_TAIL)
        return np.exp(np.where(told < least, least + _FLATTER * (told - least), told))

    def similarity_at(self, rate: float) -> float:
        """Returns the similarity that this share of pairs of strangers reaches, within the stored points.

        Args:
            rate: A share; below the least stored one the answer is that of the least.
        """
        order = slice(None, None, -1)
        return float(np.interp(np.log(rate), self.log_rate[order], self.similarity[order]))


def chance(calibration: Mapping[str, Any], embedding: Float32Array, *, seed: int = 0) -> Chance:
    """Returns the chance of strangers in this footage.

    Middle and lower quarter of the similarities of all its pairs are compared with those of the stored strangers, and
    the stored similarities moved and scaled to agree. Nearly all pairs of many tracklets are strangers; where some are
    not, both values are too high, so that fewer are joined. Of few tracklets the stored calibration counts more.

    Args:
        calibration: What the model's file says of itself, with `roc`.
        embedding: (N, D) of the tracklets.
        seed: Chooses 1,000 of more tracklets, whose pairs are looked at.

    Raises:
        ValueError: The model was never calibrated.
    """
    known = stored(calibration)
    rows = np.random.default_rng(seed).permutation(len(embedding))[:_SAMPLED_ROWS]
    pairs = (embedding[rows] @ embedding[rows].T)[np.triu_indices(len(rows), 1)]
    return moved(known, np.quantile(pairs, 1 - np.array(BULK)), len(pairs)) if len(pairs) else known


def stored(calibration: Mapping[str, Any]) -> Chance:
    """Returns the chance of strangers that the model's file states, as it is.

    Args:
        calibration: what the model's file says of itself, with `roc`.

    Raises:
        ValueError: The model was never calibrated.
    """
    points = np.array((calibration or {}).get("roc", ()), dtype=float).reshape(-1, 3)
    points = points[(points[:, 1] > 0) & (points[:, 0] > -1)]
    if len(points) < 4:
        raise ValueError("calibration: got none; expected the calibration of a model; use a calibrated checkpoint")
    return Chance(points[:, 0], np.log(points[:, 1]))


def moved(known: Chance, bulk: FloatArray, pairs: int) -> Chance:
    """Returns the stored chance, moved and scaled to the similarities of this footage.

    Args:
        known: The stored one.
        bulk: (2,) the similarities that the shares of `BULK` of this footage's pairs reach.
        pairs: How many pairs these come from; the fewer, the more the stored ones count.
    """
    before = np.interp(np.log(BULK), known.log_rate[::-1], known.similarity[::-1])
    weight = pairs / (pairs + _TRUSTED_PAIRS)
    here = weight * bulk + (1 - weight) * before
    scale = (here[1] - here[0]) / (before[1] - before[0])
    return Chance(here[0] + scale * (known.similarity - before[0]), known.log_rate)


def false_shares(similarity: FloatArray, rank: IntArray, strangers: Chance, pairs: int) -> FloatArray:
    """Returns, for each of the most similar pairs, the share of strangers expected among those that are as similar.

    It never falls from one pair to the next, as Storey's q-value, and is twice that for caution.

    Args:
        similarity: (K,) of the most similar pairs, falling.
        rank: (K,) number of pairs that are at least as similar.
        strangers: The chance of strangers.
        pairs: Number of all pairs.

    Reference:
        Storey, A Direct Approach to False Discovery Rates, JRSS B 2002; Efron, Large-Scale Inference, 2010, chapter 6.
    """
    expected = CAUTION * pairs * strangers.rate(similarity)
    share = np.minimum(expected / rank, 1)
    return np.minimum.accumulate(share[::-1])[::-1]
