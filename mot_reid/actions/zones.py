"""Who was in which zone for how long, and who crossed which line in which direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mot_reid.actions.motion import DEFAULTS, Thresholds, feet, steady
from mot_reid.arrays import BoolArray, FloatArray, IntArray
from mot_reid.structures import TrackTable

_FAR = 1e9
"""Pixels; numbers beyond it are no places in a picture."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A track in a zone.

    Attributes:
        track_id: Who.
        zone: Name of the zone.
        first_frame: First frame inside.
        last_frame: Last frame inside.
        seconds: How long, the last frame included.
        entered: Whether the track was seen outside before.
        left: Whether it was seen outside afterwards.
    """

    track_id: int
    zone: str
    first_frame: int
    last_frame: int
    seconds: float
    entered: bool
    left: bool


@dataclass(frozen=True, slots=True)
class Crossing:
    """A track that crossed a line.

    Attributes:
        track_id: Who.
        line: Name of the line.
        frame: First frame on the other side.
        direction: "in" to the right-hand side of somebody who walks from the line's first point to its second.
    """

    track_id: int
    line: str
    frame: int
    direction: Literal["in", "out"]


def polygon(zone: Any, *, name: str = "zone") -> FloatArray:
    """Returns the (K, 2) corners of a zone.

    Args:
        zone: Corners in pixels, or supervision's `PolygonZone`.
        name: Of the zone, for a message.

    Raises:
        ValueError: It has fewer than three corners, these are no pairs of numbers of pixels, or lie on one line.
    """
    corners = _points(getattr(zone, "polygon", zone), name=name, least=3, what="three or more corners")
    if np.linalg.matrix_rank(corners - corners[0]) < 2:
        raise ValueError(f"{name}: got {corners.tolist()}, all on one line; expected corners around some area")
    return corners


def segment(line: Any, *, name: str = "line") -> FloatArray:
    """Returns the (2, 2) ends of a line.

    Args:
        line: Two points in pixels, or supervision's `LineZone`.
        name: Of the line, for a message.

    Raises:
        ValueError: These are not two different points.
    """
    vector = getattr(line, "vector", None)
    given = line if vector is None else [(end.x, end.y) for end in (vector.start, vector.end)]
    points = _points(given, name=name, least=2, what="two points")
    if len(points) != 2 or (points[0] == points[1]).all():
        raise ValueError(f"{name}: got {points.tolist()}; expected two different points, such as [[0, 9], [80, 9]]")
    return points


def inside(points: FloatArray, corners: FloatArray) -> BoolArray:
    """Returns (N,) whether points lie in a polygon: a ray to the right of them meets its edges an odd number of times.

    Args:
        points: (N, 2).
        corners: (K, 2).
    """
    x, y = points[:, :1], points[:, 1:]
    (ax, ay), (bx, by) = corners.T, np.roll(corners, -1, axis=0).T
    spans = (ay > y) != (by > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        meets = x < ax + (y - ay) * (bx - ax) / (by - ay)
    return (spans & meets).sum(axis=1) % 2 == 1


def visits(
    table: TrackTable, zones: Mapping[str, Any], *, frame_rate: float, thresholds: Thresholds = DEFAULTS
) -> tuple[Visit, ...]:
    """Returns who was in which zone, by first frame; a step over the edge and back is no visit and ends none.

    Args:
        table: Tracks of one video; where their feet are counts.
        zones: Corners in pixels, or supervision's `PolygonZone`, by name.
        frame_rate: Frames per second.
        thresholds: With `least_seconds`.
    """
    found, place, tracks = [], feet(table), table.rows_by_track()
    for name, zone in zones.items():
        within = inside(place, polygon(zone, name=name)).astype(np.int64)
        for whose, rows in tracks.items():
            frames = table.frame[rows]
            state = steady(within[rows], (frames - 1) / frame_rate, thresholds)
            edges = np.flatnonzero(np.diff(np.concatenate([[0], state, [0]])))
            for start, stop in edges.reshape(-1, 2).tolist():
                first, last = int(frames[start]), int(frames[stop - 1])
                seconds = (last - first + 1) / frame_rate
                found.append(Visit(whose, name, first, last, seconds, start > 0, stop < len(rows)))
    return tuple(sorted(found, key=lambda visit: (visit.first_frame, visit.track_id, visit.zone)))


def crossings(table: TrackTable, lines: Mapping[str, Any]) -> tuple[Crossing, ...]:
    """Returns who crossed which line, by frame; the feet must pass between the line's ends.

    Args:
        table: Tracks of one video.
        lines: Two points in pixels, or supervision's `LineZone`, by name.
    """
    found, place, tracks = [], feet(table), table.rows_by_track()
    for name, line in lines.items():
        start, end = segment(line, name=name)
        for whose, rows in tracks.items():
            for row, direction in _passed(place[rows], start, end):
                found.append(Crossing(whose, name, int(table.frame[rows[row]]), "in" if direction > 0 else "out"))
    return tuple(sorted(found, key=lambda crossing: (crossing.frame, crossing.track_id, crossing.line)))


def _passed(points: FloatArray, start: FloatArray, end: FloatArray) -> list[tuple[int, int]]:
    """Returns the row after each crossing, and 1 or -1 for its direction; points on the line belong to no side."""
    along = end - start
    side = np.sign(along[0] * (points[:, 1] - start[1]) - along[1] * (points[:, 0] - start[0])).astype(np.int64)
    rows: IntArray = np.flatnonzero(side)
    changed = np.flatnonzero(np.diff(side[rows]))
    found = []
    for before, after in zip(rows[changed].tolist(), rows[changed + 1].tolist()):
        step = points[after] - points[before]
        across = along[0] * step[1] - along[1] * step[0]
        offset = points[before] - start
        where = (offset[0] * step[1] - offset[1] * step[0]) / across
        if 0 <= where <= 1:
            found.append((after, int(side[after])))
    return found


def _points(given: Any, *, name: str, least: int, what: str) -> FloatArray:
    try:
        points = np.asarray(given, dtype=float)
    except (TypeError, ValueError, OverflowError):
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < least or not (np.abs(points) <= _FAR).all():
        raise ValueError(f"{name}: got {given}; expected {what} in pixels, such as [[0, 0], [80, 0], [80, 60]]")
    return points
