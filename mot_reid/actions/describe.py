"""`describe`: what each track of a video is doing, as columns of its table and as a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.actions.classifier import Labelled
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
        labelled: What a classifier says of parts of the tracks; None where none was asked.
    """

    table: TrackTable
    frame_rate: float
    speed: FloatArray
    action: NDArray[np.str_]
    zone: NDArray[np.str_]
    visits: tuple[Visit, ...]
    crossings: tuple[Crossing, ...]
    labelled: Labelled | None = None

    def columns(self) -> dict[str, NDArray[Any]]:
        """Returns the columns that a table of tracks gains."""
        found: dict[str, NDArray[Any]] = {"action": self.action, "speed": self.speed.round(3), "zone": self.zone}
        if self.labelled is not None:
            label, probability = self.labelled.of_rows(self.table)
            found |= {"label": label, "label_probability": probability.round(3)}
        return found

    def summary(self) -> dict[str, Any]:
        """Returns seconds of each action, visits of each zone and counts of each line, in plain numbers, for JSON."""
        found = self._seconds(self.action, ACTIONS) | {
            "visits": [asdict(visit) for visit in self.visits],
            "crossings": [asdict(crossing) for crossing in self.crossings],
        }
        if self.labelled is None:
            return found
        label, _ = self.labelled.of_rows(self.table)
        windows = [
            {
                "track_id": w.track_id,
                "first_frame": w.first_frame,
                "last_frame": w.last_frame,
                "label": name,
                "probability": round(probability, 4),
            }
            for w, name, probability in zip(
                self.labelled.windows, self.labelled.label.tolist(), self.labelled.probability.tolist()
            )
        ]
        names = sorted(set(label.tolist()) - {""})
        return found | {"classified": self._seconds(label, names) | {"windows": windows}}

    def _seconds(self, value: NDArray[np.str_], names: Sequence[str]) -> dict[str, Any]:
        """Returns the seconds of each name, of all tracks and of each."""
        tracks: dict[str, dict[str, float]] = {}
        for track in np.unique(self.table.track_id).tolist():
            found, rows = np.unique(value[self.table.track_id == track], return_counts=True)
            seconds = {str(name): int(count) / self.frame_rate for name, count in zip(found, rows)}
            tracks[str(track)] = {name: seconds[name] for name in seconds if name in names}
        there = [name for name in names if any(name in of_one for of_one in tracks.values())]
        return {
            "seconds": {name: sum(of_one.get(name, 0.0) for of_one in tracks.values()) for name in there},
            "tracks": tracks,
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
