"""A Gaussian process over time: a smooth curve through noisy values, a straight line where they lie on one."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import FloatArray

_WINDOW = 150  # rows solved together; a whole track at once would cost the cube of its length


def predict(time: FloatArray, values: FloatArray, at: FloatArray, *, scale: float, noise: float) -> FloatArray:
    """Returns the mean of a Gaussian process around the straight line that fits the values best.

    Values on a straight line come back exactly, between and beyond the given times too.

    Args:
        time: (n,) when the values were seen, in frames.
        values: (n, k) columns, each smoothed by itself.
        at: (m,) times that are asked for.
        scale: length over which values depend on each other, in frames; raise it for a smoother curve.
        noise: standard deviation of the noise for one of the motion around the line; raise it to trust the values less.

    Returns:
        (m, k).

    Reference:
        Du et al., StrongSORT: Make DeepSORT Great Again, IEEE TMM 2023, section III-E (GSI). There the process has no
        line, and its length depends on that of the track.
    """
    middle = time.mean()
    line = np.stack([np.ones(len(time)), time - middle], axis=1)
    if len(time) < 2:
        line = line[:, :1]
    slope, *_ = np.linalg.lstsq(line, values, rcond=None)
    covariance = _kernel(time, time, scale) + noise**2 * np.eye(len(time))
    weights = np.linalg.solve(covariance, values - line @ slope)
    asked = np.stack([np.ones(len(at)), at - middle], axis=1)[:, : line.shape[1]]
    return asked @ slope + _kernel(at, time, scale) @ weights


def smooth(time: FloatArray, values: FloatArray, *, scale: float, noise: float) -> FloatArray:
    """Returns the values smoothed, window by window with neighbours on both sides.

    Args:
        time: (n,) increasing, in frames.
        values: (n, k).
        scale: as in `predict`.
        noise: as in `predict`.
    """
    found = np.empty_like(values)
    for start in range(0, len(time), _WINDOW):
        stop = min(start + _WINDOW, len(time))
        low, high = np.searchsorted(time, [time[start] - 3 * scale, time[stop - 1] + 3 * scale], side="left")
        near = slice(low, max(high, stop))
        found[start:stop] = predict(time[near], values[near], time[start:stop], scale=scale, noise=noise)
    return found


def _kernel(first: FloatArray, second: FloatArray, scale: float) -> FloatArray:
    distance = (first[:, None] - second) / scale
    return np.exp(-0.5 * distance * distance)
