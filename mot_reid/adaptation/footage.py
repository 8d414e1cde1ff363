"""A video that is gone through more than once: first for who is where, then for the pictures of some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mot_reid.arrays import Image, IntArray
from mot_reid.pipeline.source import Source
from mot_reid.pipeline.steps import Detector, steps
from mot_reid.structures import TrackTable
from mot_reid.tracking.tracker import Tracker

TRACKER = "bytetrack"
"""Tracks without appearance: with it, the links would say what the model believed already."""


@dataclass(frozen=True, slots=True)
class Footage:
    """One video.

    Attributes:
        name: a short one.
        open: opens it from its first frame.
        detector: finds people in it.
    """

    name: str
    open: Callable[[], Source]
    detector: Detector

    def watch(self, *, batch: int = 1, progress: Callable[[int], None] | None = None) -> Watched:
        """Returns who was where, by motion alone, with the boxes of the detector.

        Args:
            batch: frames that go through the detector together.
            progress: called with the number of frames done.
        """
        parts, last = [], 0
        with self.open() as source:
            tracker = Tracker(TRACKER, frame_rate=source.frame_rate)
            for step in steps(source, self.detector, tracker, batch=batch):
                tracks, last = step.tracks, step.number
                if tracks.detection is not None and len(tracks):
                    boxes = step.detections.xyxy[tracks.detection]
                    frame = np.full(len(tracks), step.number)
                    parts.append(TrackTable(frame, tracks.track_id, boxes, tracks.score, tracks.class_id))
                if progress is not None:
                    progress(step.number)
            return Watched(TrackTable.concatenate(parts), float(source.frame_rate), last)

    def pictures(self, table: TrackTable) -> Iterator[tuple[IntArray, Image]]:
        """Yields each frame in which the table has rows, as its rows and the image.

        Args:
            table: of this video.
        """
        rows = table.rows_by_frame()
        with self.open() as source:
            for frame in source:
                if frame.number in rows:
                    yield rows[frame.number], frame.image


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What one video showed.

    Attributes:
        table: the tracks.
        frame_rate: frames per second.
        frames: how many there were.
    """

    table: TrackTable
    frame_rate: float
    frames: int
