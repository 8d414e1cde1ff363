"""The score that a track is expected to have in this frame: from a filter, or from its last two sights (Hybrid-SORT).

Scores change smoothly: they fall while somebody is being hidden and rise when they come out. Two people who overlap
have different scores then, which tells them apart where boxes do not.

A state has the planes of `motion.py` for the one coordinate that it is about, `(5, n)`.

Reference:
    Yang et al., Hybrid-SORT: Weak Cues Matter for Online Multi-Object Tracking, AAAI 2024, section 3.3.
"""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.tracking.motion import CROSS, POSITION, POSITION_VARIANCE, VELOCITY_VARIANCE, predict_steps

# Variances of the authors' filter: of a new track's score and of its change, of both in a frame, and of a detection.
_INITIAL = (1e4, 10.0)
_PROCESS = np.array([1e-4, 1.0])
_MEASUREMENT = 10.0


def begin(score: FloatArray) -> FloatArray:
    """Returns the states of tracks born with `(n,)` scores."""
    state = np.zeros((5, len(score)))
    state[POSITION] = score
    state[VELOCITY_VARIANCE], state[POSITION_VARIANCE] = _INITIAL
    return state


def predict(state: FloatArray, steps: float) -> FloatArray:
    """Returns the states after `steps` frames."""
    new = state.copy()
    predict_steps(new, _PROCESS, steps)
    return new


def update(state: FloatArray, score: FloatArray) -> FloatArray:
    """Returns the states after boxes of `(n,)` scores were seen."""
    new = state.copy()
    gain = state[POSITION_VARIANCE::-3] / (state[POSITION_VARIANCE] + _MEASUREMENT)  # of the score, of its change
    new[POSITION:VELOCITY_VARIANCE:2] += gain * (score - state[POSITION])
    new[VELOCITY_VARIANCE] -= gain[1] * state[CROSS]
    new[POSITION_VARIANCE::-3] *= 1.0 - gain[0]
    return new


def replay(state: FloatArray, start: FloatArray, end: FloatArray, *, gap: IntArray) -> FloatArray:
    """Returns the states of tracks found again, after scores on a straight line through their absence.

    The last of them is `end`, which the caller's ordinary update applies once more, as for boxes (`Filter.replay`).

    Args:
        state: `(5, n)` as predicted for the first frame that missed the track.
        start: `(n,)` scores of the last sight.
        end: `(n,)` scores of the new sight.
        gap: `(n,)` frames from the last sight to the new one, 2 or more.
    """
    state = state.copy()
    for step in range(1, int(gap.max()) + 1):
        rows = np.flatnonzero(gap >= step)
        current = state[:, rows] if step == 1 else predict(state[:, rows], 1.0)
        state[:, rows] = update(current, start[rows] + step * (end - start)[rows] / gap[rows])
    return state


def continued(score: FloatArray, before: FloatArray, *, low: float, high: float) -> FloatArray:
    """Returns the `(n,)` scores if they go on as in the last two sights, within the low band.

    Args:
        score: `(n,)` of the last sight.
        before: `(n,)` of the update before that; the same score where the track was not seen then.
        low: score at which the low band begins.
        high: score at which the high band begins.
    """
    return np.clip(2.0 * score - before, low, high)
