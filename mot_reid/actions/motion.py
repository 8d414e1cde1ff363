"""Standing, walking, running or loitering, from the motion of a track in body heights per second.

A box does not say how far away somebody is, but its height is that of a body, so motion is measured in it: 1.4 m/s, the
pace of people in the street, is 0.8 heights of a person of 1.7 m in a second. Motion towards the camera or away from it
moves the feet less in the picture than motion across it, so there the speed is too low.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mot_reid.arrays import FloatArray, IntArray
from mot_reid.structures import TrackTable

ACTIONS = ("unknown", "standing", "walking", "running", "loitering")
"""A row's action is the place of its name here."""
_UNKNOWN, _STANDING, _WALKING, _RUNNING, _LOITERING = range(len(ACTIONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What counts as which action.

    Attributes:
        standing: Slower than this, in body heights per second, is standing.
        running: At least this, in body heights per second, is running; 1.3 is 2.2 m/s of a person of 1.7 m.
        window_seconds: The speed is that of a straight line through the positions of so many seconds.
        least_seconds: An action or a visit that is shorter counts as the one before it.
        loitering_seconds: Who stays this long ..
        loitering_heights: .. in a place this wide, in body heights, loiters.
    """

    standing: float = 0.2
    running: float = 1.3
    window_seconds: float = 1.0
    least_seconds: float = 0.5
    loitering_seconds: float = 30.0
    loitering_heights: float = 3.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not 0 < value < np.inf:
                raise ValueError(f"actions {name}: got {value}; expected a number above 0")
        if self.standing >= self.running:
            raise ValueError(f"actions standing: got {self.standing}; expected less than running, {self.running}")


DEFAULTS = Thresholds()


def feet(table: TrackTable) -> FloatArray:
    """Returns (M, 2) the middle of the lower edge of each box."""
    return np.stack([table.xyxy[:, [0, 2]].mean(axis=1), table.xyxy[:, 3]], axis=1)


def actions(table: TrackTable, *, frame_rate: float, thresholds: Thresholds = DEFAULTS) -> tuple[FloatArray, IntArray]:
    """Returns the speed and the action of each row.

    The first is (M,) body heights per second, NaN where less than a quarter of the window is seen, the second (M,)
    places in `ACTIONS`.

    Args:
        table: Tracks of one video.
        frame_rate: Frames per second.
        thresholds: What counts as which action.
    """
    speed, action = np.full(len(table), np.nan), np.zeros(len(table), np.int64)
    place, height = feet(table), table.xyxy[:, 3] - table.xyxy[:, 1]
    for rows in table.rows_by_track().values():
        seconds = (table.frame[rows] - 1) / frame_rate
        speed[rows] = _speeds(seconds, place[rows], height[rows], thresholds.window_seconds)
        found = np.where(speed[rows] >= thresholds.running, _RUNNING, _WALKING)
        found[speed[rows] < thresholds.standing] = _STANDING
        found[np.isnan(speed[rows])] = _UNKNOWN
        action[rows] = _loitering(seconds, place[rows], height[rows], steady(found, seconds, thresholds), thresholds)
    return speed, action


def steady(values: IntArray, seconds: FloatArray, thresholds: Thresholds) -> IntArray:
    """Returns values over time, in which each that is too short has become the one before it.

    Args:
        values: (N,).
        seconds: (N,) rising.
        thresholds: With `least_seconds`.
    """
    result = values.copy()
    cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    for start, stop in pairwise(cuts):
        until = seconds[stop] if stop < len(values) else seconds[-1]
        if start and until - seconds[start] < thresholds.least_seconds:
            result[start:stop] = result[start - 1]
    return result


def _speeds(seconds: FloatArray, place: FloatArray, height: FloatArray, window: float) -> FloatArray:
    """Returns (N,) the slope of a least-squares line through the window around each row, by the mean height there."""
    first = np.searchsorted(seconds, seconds - window / 2 - 1e-9)
    last = np.searchsorted(seconds, seconds + window / 2 + 1e-9)
    count = last - first

    def mean(values: FloatArray) -> FloatArray:
        total = np.concatenate([[0.0], np.cumsum(values)])
        return (total[last] - total[first]) / count

    time, start = seconds - seconds[0], place[0]
    spread = mean(time**2) - mean(time) ** 2
    x, y = (place - start).T
    slopes = [mean(time * axis) - mean(time) * mean(axis) for axis in (x, y)]
    seen = (count >= 3) & (seconds[last - 1] - seconds[first] > window / 4)
    speed = np.full(len(seconds), np.nan)
    speed[seen] = np.hypot(*slopes)[seen] / spread[seen] / np.maximum(mean(height)[seen], 1e-9)
    return speed


def _loitering(
    seconds: FloatArray, place: FloatArray, height: FloatArray, action: IntArray, thresholds: Thresholds
) -> IntArray:
    """Returns the actions, loitering where a track has long been in one place: from its arrival there on."""
    result = action.copy()
    first = np.searchsorted(seconds, seconds - thresholds.loitering_seconds + 1e-9)
    for row, start in enumerate(first.tolist()):
        start = max(start - 1, 0)  # the last row that lies far enough back
        if seconds[row] - seconds[start] < thresholds.loitering_seconds - 1e-9:
            continue
        here = slice(start, row + 1)
        if np.ptp(place[here], axis=0).max() <= thresholds.loitering_heights * height[here].mean():
            result[here] = _LOITERING
    return result
