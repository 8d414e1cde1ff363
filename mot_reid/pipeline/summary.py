"""Of a whole sequence: which tracks are worth keeping, and how many there are and how long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mot_reid.structures import Tracks, TrackTable


def to_table(frames: Iterable[tuple[int, Tracks]]) -> TrackTable:
    """Returns the table of a sequence from the tracks of its frames.

    Args:
        frames: number of each frame, from 1, gaps allowed, and what the tracker said of it.
    """
    return TrackTable.concatenate(
        TrackTable(np.full(len(tracks), number), tracks.track_id, tracks.xyxy, tracks.score, tracks.class_id)
        for number, tracks in frames
    )


def keep_tracks(table: TrackTable, *, min_track_length: int = 1, min_score: float = 0.0) -> TrackTable:
    """Returns the rows of the tracks that are long and sure enough, whole tracks or none of them.

    Args:
        table: one sequence.
        min_track_length: frames in which a track must have been seen.
        min_score: least mean score of a track over those frames.
    """
    _, track, length = np.unique(table.track_id, return_inverse=True, return_counts=True)
    mean = np.bincount(track, table.score) / np.maximum(length, 1)
    # The mean of equal scores may be a rounding below them.
    return table[((length >= min_track_length) & (mean >= min_score - 1e-9))[track]]


def summarise(table: TrackTable, frames: int) -> dict[str, Any]:
    """Returns the numbers of a sequence: frames, boxes, tracks, and the length of each track in frames.

    Args:
        table: one sequence.
        frames: how many there were, with or without tracks.
    """
    track_id, length = np.unique(table.track_id, return_counts=True)
    return {
        "frames": frames,
        "boxes": len(table),
        "tracks": len(track_id),
        "tracks_per_frame": len(table) / frames if frames else 0.0,
        "median_length": float(np.median(length)) if len(length) else 0.0,
        "longest": int(length.max()) if len(length) else 0,
        "lengths": {str(identity): int(count) for identity, count in zip(track_id, length)},
    }
