"""Tracklets of short videos written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.adaptation.tracklets import Rules, covered, find_tracklets
from mot_reid.structures import TrackTable

RULES = Rules(max_cover=0.7, max_gap=0.3, min_length=1.0, min_score=0.5, min_together=0.5)
RATE = 10.0


def walk(track_id: int, frames: list[int], x: list[float], *, score: float = 0.9) -> TrackTable:
    """A person of 20 x 40 pixels, whose left side is at x."""
    boxes = np.array([[left, 0, left + 20, 40] for left in x], dtype=float)
    return TrackTable(np.array(frames), np.full(len(frames), track_id), boxes, np.full(len(frames), score))


def still(track_id: int, first: int, last: int, x: float, *, score: float = 0.9) -> TrackTable:
    return walk(track_id, list(range(first, last + 1)), [x] * (last - first + 1), score=score)


def parts(*tables: TrackTable) -> list[tuple[int, int, int]]:
    """Track, first and last frame of each tracklet."""
    found = find_tracklets(TrackTable.concatenate(tables), RATE, RULES)
    rows = [np.flatnonzero(found.tracklet == one) for one in range(found.count)]
    frame, track = found.table.frame, found.table.track_id
    return [(int(track[r[0]]), int(frame[r].min()), int(frame[r].max())) for r in rows]


def test_cover_is_the_share_of_the_smaller_box() -> None:
    """A box inside another is covered wholly, and covers wholly; half a box is covered by half; frames are apart."""
    table = TrackTable(
        np.array([1, 1, 2, 2, 2]),
        np.array([1, 2, 1, 2, 3]),
        np.array([[0, 0, 100, 100], [10, 10, 20, 20], [0, 0, 20, 40], [10, 0, 30, 40], [200, 0, 220, 40]], dtype=float),
        np.ones(5),
    )
    np.testing.assert_allclose(covered(table), [1, 1, 0.5, 0.5, 0])


def test_tracks_are_cut_where_people_hide_each_other() -> None:
    """In frames 21 to 23 the walkers' boxes share 75% or more, after and before less."""
    frames = list(range(1, 41))
    x = [0.0] * 20 + [95.0, 97.0, 95.0] + [0.0] * 17
    assert parts(walk(1, frames, x), still(2, 1, 40, 100)) == [(1, 1, 20), (1, 24, 40), (2, 1, 20), (2, 24, 40)]


def test_a_short_gap_does_not_cut_and_a_long_one_does() -> None:
    frames = [*range(1, 16), *range(18, 31), *range(34, 46)]
    assert parts(walk(1, frames, [0.0] * len(frames))) == [(1, 1, 30), (1, 34, 45)]


@pytest.mark.parametrize(("last", "score", "kept"), [(11, 0.9, 1), (10, 0.9, 0), (11, 0.5, 1), (11, 0.49, 0)])
def test_short_and_unsure_tracks_do_not_count(last: int, score: float, kept: int) -> None:
    assert len(parts(still(1, 1, last, 0, score=score))) == kept


def test_people_seen_together_long_enough_are_two() -> None:
    """1 and 2 share 5 frames, 2 and 3 share 4; two parts of one track are never linked."""
    tables = [still(1, 1, 20, 0), still(2, 16, 40, 100), still(3, 37, 60, 200), still(1, 41, 60, 0)]
    found = find_tracklets(TrackTable.concatenate(tables), RATE, RULES)
    assert found.table.track_id[[np.flatnonzero(found.tracklet == one)[0] for one in range(4)]].tolist() == [1, 1, 2, 3]
    assert found.together.tolist() == [[0, 2], [1, 3]]


def test_images_are_spread_over_each_tracklet() -> None:
    found = find_tracklets(TrackTable.concatenate([still(1, 1, 21, 0), still(2, 1, 13, 100)]), RATE, RULES)
    rows = found.spread(3)
    assert found.table.frame[rows].tolist() == [1, 11, 21, 1, 7, 13]
    assert len(find_tracklets(still(1, 1, 12, 0), RATE, RULES).spread(50)) == 12


def test_a_video_without_people_has_no_tracklets() -> None:
    found = find_tracklets(TrackTable.empty(), RATE, RULES)
    assert (found.count, found.together.shape, found.spread(16).tolist()) == (0, (0, 2), [])
