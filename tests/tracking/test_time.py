"""Frames that are missing: age is judged in time, before anybody is taken for a track."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import Detections, Tracker
from mot_reid.tracking.motion import Filter
from mot_reid.tracking.presets import OCSORT, PRESETS

NOTHING = np.zeros((0, 5))
STANDING = np.array([[50.0, 50.0, 90.0, 150.0, 0.9]])
FACE = np.eye(4, dtype=np.float32)


def identity_after(tracker: Tracker, *, gap: int, rate: float = 30.0, start: float = 0.0) -> int:
    """The identity of a person who stands still, is seen in 6 frames, and again `gap` frames after the last of them."""
    for number in range(6):
        tracker.update(STANDING, time_seconds=start + number / rate)
    for number in range(4):  # until every preset reports
        tracks = tracker.update(STANDING, time_seconds=start + (5 + gap + number) / rate)
    return int(tracks.track_id[0])


@pytest.mark.filterwarnings("ignore:preset")
@pytest.mark.parametrize("preset", PRESETS)
def test_person_is_somebody_new_after_more_frames_than_a_track_survives(preset: str) -> None:
    """`max_missed` frames unseen are survived, so the next sight may come `max_missed + 1` frames after the last."""
    survived = PRESETS[preset].life.max_missed
    assert identity_after(Tracker(preset), gap=survived + 1) == 1
    assert identity_after(Tracker(preset), gap=survived + 2) == 2
    assert identity_after(Tracker(preset), gap=1801) == 2


def test_person_of_the_memory_keeps_the_identity_however_the_frames_come() -> None:
    """Appearance recognises who is gone for longer than a track survives and shorter than `max_lost_seconds`."""
    for seconds, expected in ((20.0, 1), (70.0, 2)):
        tracker = Tracker("bytetrack_reid", gate=0.6)
        for number in range(6):
            tracker.update(Detections(STANDING[:, :4], [0.9], embedding=FACE[:1]), time_seconds=number / 30)
        for number in range(3):
            found = Detections(STANDING[:, :4] + 600, [0.9], embedding=FACE[:1])
            tracks = tracker.update(found, time_seconds=seconds + number / 30)
        assert tracks.track_id.tolist() == [expected]


def test_who_is_named_in_the_frame_that_expires_the_old_track_is_recognised() -> None:
    """BoT-SORT with a memory names at first sight: in that frame the old track is neither lost nor remembered yet."""
    tracker = Tracker("botsort", camera="none", max_lost_seconds=60, gate=0.6)
    seen = Detections(STANDING[:, :4], [0.9], embedding=FACE[:1])
    for _ in range(5):
        tracker.update(seen)
    for _ in range(30):
        tracker.update(NOTHING)
    assert tracker.update(seen.replace(xyxy=STANDING[:, :4] + 600)).track_id.tolist() == [1]


@pytest.mark.parametrize("start", [0.0, 1_764_380_000.123])
@pytest.mark.parametrize("rate", [30.0, 12.5, 240.0])
def test_times_of_day_are_as_good_as_times_since_the_start(start: float, rate: float) -> None:
    """The doubles of today's Unix time are 2.4e-7 s apart: 6e-5 frames at 240 a second."""
    counted, timed = Tracker("bytetrack", frame_rate=rate), Tracker("bytetrack", frame_rate=rate)
    rng = np.random.default_rng(0)
    for number in range(60):
        rows = STANDING + [3.0 * number, 0, 3.0 * number, 0, 0] + rng.normal(0, 1, 5) * [1, 1, 1, 1, 0]
        expected, tracks = counted.update(rows), timed.update(rows, time_seconds=start + number / rate)
        np.testing.assert_array_equal(expected.xyxy, tracks.xyxy)


def test_time_that_is_refused_leaves_expired_tracks_where_they_were() -> None:
    tracker = Tracker("bytetrack_reid", gate=0.6)
    for number in range(5):
        tracker.update(Detections(STANDING[:, :4], [0.9], embedding=FACE[:1]), time_seconds=number / 30)
    before = tracker.state_dict()
    with pytest.raises(ValueError, match="embedding: got size 2; expected 4"):
        tracker.update(Detections(STANDING[:, :4], [0.9], embedding=np.eye(2)[:1]), time_seconds=100.0)
    for name, value in tracker.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_long_replay_is_that_of_all_its_frames() -> None:
    """The oracle observes the whole virtual path; ours begins 500 frames before its end."""
    motion = Filter(OCSORT.motion)
    start, end = np.array([[100.0], [100], [140], [200]]), np.array([[900.0], [150], [960], [290]])
    state = motion.initiate(motion.measure(start + 2.0))
    for gap in (10, 500, 501, 1500):
        expected = state.copy()
        for step in range(1, gap + 1):
            share = step / gap
            centre = (start[:2] + start[2:]) / 2 * (1 - share) + (end[:2] + end[2:]) / 2 * share
            size = (start[2:] - start[:2]) * (1 - share) + (end[2:] - end[:2]) * share
            expected = motion.predict(expected) if step > 1 else expected
            expected = motion.update(expected, motion.measure(np.concatenate((centre - size / 2, centre + size / 2))))
        found = motion.replay(state, start, end, gap=np.array([gap]))
        np.testing.assert_allclose(
            motion.boxes(motion.predict(found)), motion.boxes(motion.predict(expected)), atol=1e-5
        )
