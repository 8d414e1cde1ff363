"""Score bands that fit the detector: `high` and `birth` as shares of the score that it gives people it sees well.

A threshold of one detector means nothing for another one, so what it is a share of is measured. The *level* is the
median of the scores above half of itself. Doubtful boxes lie below that half, so it does not matter how many of them
there are, nor from which score on the detector reports boxes; and if all scores are multiplied, so is the level.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import FloatArray
from mot_reid.tracking.presets import Preset

_BINS = 100
# Before the first frame, as if so many boxes of this score had been seen: one box alone decides nothing.
_PRIOR_COUNT, _PRIOR_SCORE = 20.0, 0.75
# Boxes that count. As more come, all of them weigh less, so that the level follows a scene that changes.
_MEMORY = 2000.0
# A lower level is that of clutter in a picture without people.
_LOWEST = 0.5
# The search for the level begins at the score that this share of the boxes reaches.
_TOP = 0.02


class ScoreLevel:
    """The scores seen so far, counted by hundredths."""

    def __init__(self) -> None:
        self._counts: FloatArray = np.zeros(_BINS)
        self._counts[int(_PRIOR_SCORE * _BINS)] = _PRIOR_COUNT

    def counts_with(self, score: FloatArray) -> FloatArray:
        """Returns the counts as they are after a frame, for `level_of` and `keep`; changes nothing.

        Args:
            score: (N,) in [0, 1].
        """
        bins = np.minimum((score * _BINS).astype(np.int64), _BINS - 1)
        counts = self._counts + np.bincount(bins, minlength=_BINS)
        total = np.add.reduce(counts)
        return counts * (_MEMORY / total) if total > _MEMORY else counts

    def keep(self, counts: FloatArray) -> None:
        """Takes what `counts_with` returned."""
        self._counts = counts

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns a copy of everything by name."""
        return {"counts": self._counts.copy()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `arrays` returned.

        Raises:
            ValueError: if it is something else.
        """
        counts = arrays.get("counts")
        fits = counts is not None and counts.dtype.kind in "fiu" and counts.shape == (_BINS,)
        if counts is None or not fits or not (counts >= 0).all() or not 0 < counts.sum() < np.inf:
            raise ValueError(
                f"tracker state: got no {_BINS} counts of scores; expected the state of a tracker with adaptive bands"
            )
        self._counts = counts.astype(np.float64)


def level_of(counts: FloatArray) -> float:
    """Returns the highest score that is the median of the scores above half of it, 0.5 or more.

    Args:
        counts: (100,) of the scores in each hundredth, not all zero.
    """
    reached = np.add.accumulate(counts[::-1]).tolist()  # how many scores are in the best k + 1 hundredths
    last = len(counts) - 1
    found = last - bisect_left(reached, _TOP * reached[-1])
    while True:
        half = (found + 1) // 2
        lower = last - bisect_left(reached, reached[last - half] / 2)
        if lower >= found:
            return max((found + 0.5) / len(counts), _LOWEST)
        found = lower


def fitted(preset: Preset, level: float) -> Preset:
    """Returns a preset whose `high` and `birth` are its shares of a level, and never above what it has written.

    Args:
        preset: whose bands are adaptive.
        level: of the detector's scores.
    """
    shares, bands, birth = preset.shares, preset.bands, preset.life.birth
    assert shares is not None and bands.high is not None and birth is not None
    high = min(bands.high, shares.high * level)
    low = bands.low if bands.low is None else min(bands.low, high)
    birth = min(birth, shares.birth * level)
    return replace(preset, bands=replace(bands, high=high, low=low), life=replace(preset.life, birth=birth))


def least_high(preset: Preset) -> float | None:
    """Returns the lowest score at which the high band of a preset may begin; None where it holds every box."""
    return preset.bands.high if preset.shares is None else fitted(preset, _LOWEST).bands.high
