"""Windows of tracks and the clips that are cut by them, against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.data.frame import Frame
from mot_reid.data.track_clips import Window, cut, picture, windows
from mot_reid.structures import TrackTable


def track(frames, *, track_id=1, x=50.0, step=0.0, height=20.0) -> TrackTable:
    frames = np.asarray(frames)
    left = x + step * (frames - frames[0])
    xyxy = np.stack([left - 4, np.full(len(frames), 30.0), left + 4, np.full(len(frames), 30.0 + height)], axis=1)
    return TrackTable(frames, np.full(len(frames), track_id), xyxy)


def numbered(count: int) -> list[Frame]:
    """Pictures whose every pixel is the number of the frame."""
    return [Frame(number, number / 10, np.full((40, 60, 3), number, np.uint8)) for number in range(1, count + 1)]


def test_windows_follow_each_other_and_the_last_ends_with_the_track() -> None:
    found = windows(track(range(3, 28)), frame_rate=10, seconds=1.0, frames=5)
    assert [(one.first_frame, one.last_frame) for one in found] == [(3, 12), (13, 22), (18, 27)]
    assert found[0].frames.tolist() == [4, 6, 8, 10, 12]


def test_a_track_that_is_shorter_than_a_window_has_none_and_one_with_a_long_gap_none_there() -> None:
    assert windows(track(range(1, 10)), frame_rate=10, seconds=1.0, frames=5) == []
    gap = track([*range(1, 11), *range(18, 31)])
    found = windows(gap, frame_rate=10, seconds=1.0, frames=5)
    assert [(one.first_frame, one.last_frame) for one in found] == [(1, 10), (21, 30)]


def test_the_square_is_in_the_middle_of_the_way_and_measures_two_body_heights() -> None:
    (one,) = windows(track(range(1, 11), step=2.0), frame_rate=10, seconds=1.0, frames=5)
    assert one.square.tolist() == [59 - 20, 40 - 20, 59 + 20, 40 + 20]


def test_clips_hold_the_frames_that_were_asked_for_in_their_order() -> None:
    table = TrackTable.concatenate([track(range(1, 21)), track(range(5, 16), track_id=2)])
    chosen = windows(table, frame_rate=10, seconds=1.0, frames=5)
    found = dict(cut(iter(numbered(25)), chosen, size=(8, 6)))
    assert sorted(found) == list(range(len(chosen))) and len(chosen) == 4
    for place, clip in found.items():
        assert clip.shape == (5, 8, 6, 3) and clip.dtype == np.uint8
        assert clip[:, 0, 0, 0].tolist() == chosen[place].frames.tolist()


def test_missing_frames_are_filled_from_their_neighbours_and_a_window_without_any_is_left_out() -> None:
    chosen = [
        Window(1, 1, 5, np.array([1, 2, 3, 4, 5]), np.array([0, 0, 4, 4])),
        Window(1, 6, 9, np.array([6, 7, 8, 9, 9]), np.array([0, 0, 4, 4])),
    ]
    frames = [frame for frame in numbered(5) if frame.number in (2, 4)]
    found = dict(cut(frames, chosen, size=(4, 4)))
    assert found.keys() == {0}
    assert found[0][:, 0, 0, 0].tolist() == [2, 2, 2, 4, 4]


def test_no_more_of_the_video_is_read_than_the_last_window_needs() -> None:
    frames = iter(numbered(100))
    chosen = windows(track(range(1, 11)), frame_rate=10, seconds=1.0, frames=5)
    assert len(list(cut(frames, chosen, size=(4, 4)))) == 1
    assert next(frames).number == 11


@pytest.mark.parametrize(("square", "column"), [([0, 0, 4, 4], [0, 1, 2, 3]), ([-2, 0, 2, 4], [0, 0, 0, 1])])
def test_a_picture_is_rgb_and_repeats_the_edge_beyond_it(square, column) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0], image[..., 2] = 7, np.arange(4)
    found = picture(image, np.array(square), (4, 4))
    assert found[0, :, 0].tolist() == column and (found[..., 2] == 7).all()
