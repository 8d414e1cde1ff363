"""Which tracks of a sequence are kept, and its numbers."""

from __future__ import annotations

import numpy as np

from mot_reid.pipeline.summary import keep_tracks, summarise, to_table
from mot_reid.structures import Tracks, TrackTable


def table(*rows: tuple[int, int, float]) -> TrackTable:
    """Rows of (frame, identity, score)."""
    frame, track_id, score = zip(*rows)
    return TrackTable(np.array(frame), np.array(track_id), np.tile([0.0, 0, 1, 1], (len(rows), 1)), np.array(score))


def test_table_has_the_numbers_of_the_frames() -> None:
    tracks = Tracks(np.array([[0.0, 0, 1, 1], [2, 2, 3, 3]]), np.array([4, 7]), np.array([0.5, 0.6]))
    found = to_table([(3, tracks), (4, Tracks.empty()), (9, tracks[:1])])
    assert found.frame.tolist() == [3, 3, 9]
    assert found.track_id.tolist() == [4, 7, 4]
    assert found.score.tolist() == [0.5, 0.6, 0.5]


def test_table_of_no_frame_is_empty() -> None:
    assert len(to_table([])) == 0


def test_short_tracks_go_as_a_whole() -> None:
    kept = keep_tracks(table((1, 1, 0.9), (2, 1, 0.9), (2, 2, 0.9), (5, 1, 0.9)), min_track_length=3)
    assert kept.track_id.tolist() == [1, 1, 1]
    assert kept.frame.tolist() == [1, 2, 5]


def test_unsure_tracks_go_by_their_mean() -> None:
    rows = table((1, 1, 0.1), (2, 1, 0.5), (1, 2, 0.1), (2, 2, 0.4))
    assert set(keep_tracks(rows, min_score=0.3).track_id.tolist()) == {1}


def test_all_is_kept_unless_asked_otherwise() -> None:
    rows = table((1, 1, 0.0), (2, 2, 0.1))
    assert keep_tracks(rows).frame.tolist() == [1, 2]


def test_summary_counts_by_hand() -> None:
    found = summarise(table((1, 1, 0.9), (2, 1, 0.9), (2, 5, 0.9), (3, 1, 0.9)), 8)
    assert found == {
        "frames": 8, "boxes": 4, "tracks": 2, "tracks_per_frame": 0.5, "median_length": 2.0, "longest": 3,
        "lengths": {"1": 3, "5": 1},
    }  # fmt: skip


def test_summary_of_nothing_is_zeros() -> None:
    found = summarise(keep_tracks(TrackTable.empty(), min_track_length=3, min_score=0.3), 0)
    assert (found["tracks"], found["tracks_per_frame"], found["median_length"], found["lengths"]) == (0, 0.0, 0.0, {})
