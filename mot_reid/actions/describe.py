"""`describe`: what each track of a video is doing, as columns of its table and as a summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.actions.motion import ACTIONS, DEFAULTS, Thresholds, actions
from mot_reid.actions.zones import Crossing, Visit, crossings, visits
from mot_reid.arrays import FloatArray
from mot_reid.structures import TrackTable


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What tracks are doing.

    Attributes:
        table: The tracks.
        frame_rate: Frames per second.
        speed: (M,) body heights per second; NaN where a track is too short.
        action: (M,) standing, walking, running, loitering, or unknown where there is no speed.
        zone: (M,) name of the zone; empty outside, the first named one where zones overlap.
        visits: Who was in which zone.
        crossings: Who crossed which line.
    """

    table: TrackTable
    frame_rate: float
    speed: FloatArray
    action: NDArray[np.str_]
    zone: NDArray[np.str_]
    visits: tuple[Visit, ...]
    crossings: tuple[Crossing, ...]

    def columns(self) -> dict[str, NDArray[Any]]:
        """Returns the columns that a table of tracks gains."""
        return {"action": self.action, "speed": self.speed.round(3), "zone": self.zone}

    def summary(self) -> dict[str, Any]:
        """Returns seconds of each action, visits of each zone and counts of each line, in plain numbers, for JSON."""
        tracks: dict[str, dict[str, float]] = {}
        for track in np.unique(self.table.track_id).tolist():
            names, rows = np.unique(self.action[self.table.track_id == track], return_counts=True)
            tracks[str(track)] = {str(name): int(count) / self.frame_rate for name, count in zip(names, rows)}
        return {
            "seconds": {
                name: sum(of.get(name, 0.0) for of in tracks.values())
                for name in ACTIONS
                if any(name in of for of in tracks.values())
            },
            "tracks": tracks,
            "visits": [asdict(visit) for visit in self.visits],
            "crossings": [asdict(crossing) for crossing in self.crossings],
        }


def describe(
    table: TrackTable,
    *,
    frame_rate: float,
    zones: Mapping[str, Any] | None = None,
    lines: Mapping[str, Any] | None = None,
    thresholds: Thresholds = DEFAULTS,
) -> Described:
    """Returns what each track is doing in each frame.

    Args:
        table: Tracks of one video.
        frame_rate: Frames per second.
        zones: Corners in pixels, or supervision's `PolygonZone`, by name.
        lines: Two points in pixels, or supervision's `LineZone`, by name.
        thresholds: What counts as which action.

    Raises:
        ValueError: The frame rate, a zone or a line makes no sense.
    """
    if not 0 < frame_rate < np.inf:
        raise ValueError(f"frame_rate: got {frame_rate}; expected a number above 0")
    speed, action = actions(table, frame_rate=frame_rate, thresholds=thresholds)
    seen = visits(table, zones or {}, frame_rate=frame_rate, thresholds=thresholds)
    zone = np.full(len(table), "", dtype=f"<U{max([1, *(len(name) for name in zones or {})])}")
    for name in reversed(list(zones or {})):
        for visit in (one for one in seen if one.zone == name):
            frame = table.frame
            within = (frame >= visit.first_frame) & (frame <= visit.last_frame)
            zone[(table.track_id == visit.track_id) & within] = name
    return Described(table, frame_rate, speed, np.array(ACTIONS)[action], zone, seen, crossings(table, lines or {}))
