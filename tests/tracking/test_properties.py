"""What must hold for any valid input: found by search, not by example."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mot_reid import Detections, Tracker, Tracks
from mot_reid.settings.tracker_parameters import BandsMode
from mot_reid.tracking.presets import PRESETS
from tests.helpers.boxes_world import walking_people

EVERY_PRESET = pytest.mark.parametrize("preset", PRESETS)
SEARCH = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 10_000)


@st.composite
def any_box(draw) -> tuple[float, float, float, float, float, int]:
    x, y = draw(st.floats(-300, 300)), draw(st.floats(-300, 300))
    width, height = draw(st.floats(0, 200)), draw(st.floats(0, 200))
    return x, y, x + width, y + height, draw(st.floats(0, 1)), draw(st.integers(0, 1))


@st.composite
def any_video(draw) -> list[np.ndarray]:
    """Frames of arbitrary boxes: without area, of equal score, repeated in a frame and from frame to frame, or none."""
    pool = draw(st.lists(any_box(), min_size=1, max_size=6))
    frames = draw(st.lists(st.lists(st.sampled_from(pool), max_size=8), min_size=1, max_size=8))
    return [np.array(frame, dtype=np.float64).reshape(-1, 6) for frame in frames]


def run(preset: str, frames: list, *, bands: BandsMode | None = None) -> list[Tracks]:
    tracker = Tracker(preset, bands=bands)
    return [tracker.update(frame) for frame in frames]


def assert_equal(first: Tracks, second: Tracks) -> None:
    for name in ("xyxy", "track_id", "score", "class_id", "detection"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@EVERY_PRESET
@SEARCH
@given(video=any_video())
def test_every_answer_is_sound(preset, video):
    """Valid boxes, each identity and each detection once, the detection's class, identities 1, 2, 3 .. without gaps."""
    known: set[int] = set()
    for frame, tracks in zip(video, run(preset, video)):
        Tracks(tracks.xyxy, tracks.track_id, tracks.score, tracks.class_id, tracks.detection)  # validates
        assert len(set(tracks.detection.tolist())) == len(tracks)
        np.testing.assert_array_equal(tracks.class_id, frame[tracks.detection, 5])
        np.testing.assert_array_equal(tracks.score, frame[tracks.detection, 4])
        known |= set(tracks.track_id.tolist())
    assert known == set(range(1, len(known) + 1))


@EVERY_PRESET
@SEARCH
@given(video=any_video())
def test_update_leaves_its_input_alone(preset, video):
    copies = [frame.copy() for frame in video]
    run(preset, video)
    for frame, copy in zip(video, copies):
        np.testing.assert_array_equal(frame, copy)


@EVERY_PRESET
@SEARCH
@given(video=any_video(), seed=SEEDS)
def test_order_of_the_detections_changes_nothing(preset, video, seed):
    rng = np.random.default_rng(seed)
    shuffled = [frame[rng.permutation(len(frame))] for frame in video]
    for frame, other, first, second in zip(video, shuffled, run(preset, video), run(preset, shuffled)):
        np.testing.assert_array_equal(first.xyxy, second.xyxy)
        np.testing.assert_array_equal(first.track_id, second.track_id)
        np.testing.assert_array_equal(frame[first.detection], other[second.detection])


@EVERY_PRESET
@SEARCH
@given(video=any_video(), cut=st.integers(0, 8))
def test_cut_and_resume_changes_nothing(preset, video, cut):
    whole = run(preset, video)
    first, second, file = Tracker(preset), Tracker(preset), io.BytesIO()
    begin = [first.update(frame) for frame in video[:cut]]
    np.savez(file, **first.state_dict())
    file.seek(0)
    with np.load(file, allow_pickle=False) as state:
        second.load_state_dict(state)
    for expected, answer in zip(whole, begin + [second.update(frame) for frame in video[cut:]]):
        assert_equal(expected, answer)


@EVERY_PRESET
@SEARCH
@given(video=any_video(), bad=st.sampled_from(["nan", "negative", "score", "shape", "class", "time"]))
def test_invalid_input_never_changes_the_state(preset, video, bad):
    tracker = Tracker(preset)
    for frame in video:
        tracker.update(frame)
    before = tracker.state_dict()
    row = [0, 0, 10, 10, 0.9, 0]
    row = {"nan": [np.nan, *row[1:]], "negative": [20, *row[1:]], "score": [*row[:4], 1.5, 0], "shape": row[:4],
           "class": [*row[:5], 0.5]}.get(bad, row)  # fmt: skip
    with pytest.raises(ValueError):
        tracker.update(np.array([row]), time_seconds=3.0 if bad == "time" else None)
    after = tracker.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name])


@EVERY_PRESET
@SEARCH
@given(seed=SEEDS, dx=st.integers(-2000, 2000), dy=st.integers(-2000, 2000))
def test_shifting_all_boxes_shifts_the_answer(preset, seed, dx, dy):
    video = walking_people(seed, classes=2, embedding=8, frames=15)
    offset = np.array([dx, dy, dx, dy])
    shifted = [frame.replace(xyxy=frame.xyxy + offset) for frame in video]
    for here, there in zip(run(preset, video), run(preset, shifted)):
        np.testing.assert_array_equal(here.track_id, there.track_id)
        np.testing.assert_allclose(here.xyxy + offset, there.xyxy, atol=1e-6)


@pytest.mark.parametrize("preset", ["bytetrack", "botsort", "bytetrack_reid"])
@SEARCH
@given(seed=SEEDS, factor=st.sampled_from([0.5, 2.0, 8.0]))
def test_scaling_all_boxes_scales_the_answer(preset, seed, factor):
    """SORT and OC-SORT are left out: their noise is in pixels, so they are not invariant by design."""
    video = walking_people(seed, classes=2, embedding=8, frames=15)
    scaled = [frame.replace(xyxy=frame.xyxy * factor) for frame in video]
    for small, large in zip(run(preset, video), run(preset, scaled)):
        np.testing.assert_array_equal(small.track_id, large.track_id)
        np.testing.assert_allclose(small.xyxy * factor, large.xyxy, rtol=1e-9)


@EVERY_PRESET
@SEARCH
@given(seed=SEEDS)
def test_two_trackers_never_influence_each_other(preset, seed):
    video, other = (
        walking_people(seed, frames=10, embedding=4, twins=True),
        walking_people(seed + 1, frames=10, embedding=4),
    )
    alone = run(preset, video)
    first, second = Tracker(preset), Tracker(preset)
    for expected, frame, noise in zip(alone, video, other):
        assert_equal(expected, first.update(frame))
        second.update(noise)


@EVERY_PRESET
@SEARCH
@given(seed=SEEDS)
def test_reset_equals_new(preset, seed):
    video = walking_people(seed, frames=10, embedding=4, twins=True)
    tracker = Tracker(preset)
    for frame in walking_people(seed + 1, frames=10, embedding=4):
        tracker.update(frame)
    tracker.reset()
    for expected, frame in zip(run(preset, video), video):
        assert_equal(expected, tracker.update(frame))


@EVERY_PRESET
@SEARCH
@given(seed=SEEDS)
def test_classes_are_tracked_as_if_alone(preset, seed):
    """Two classes at once give the tracks of each class by itself, identities apart; adaptive bands share a level."""
    both = walking_people(seed, classes=2, frames=15)
    together = run(preset, both, bands="published")
    for class_id in (0, 1):
        name: dict[int, int] = {}
        alone = run(preset, [frame[frame.class_id == class_id] for frame in both], bands="published")
        for all_tracks, tracks in zip(together, alone):
            mine: Tracks = all_tracks[all_tracks.class_id == class_id]
            order, expected = np.lexsort(mine.xyxy.T), np.lexsort(tracks.xyxy.T)
            np.testing.assert_allclose(mine.xyxy[order], tracks.xyxy[expected], atol=1e-9)
            for ours, theirs in zip(mine.track_id[order].tolist(), tracks.track_id[expected].tolist()):
                assert name.setdefault(theirs, ours) == ours


def test_empty_video_has_no_tracks():
    assert [len(tracks) for tracks in run("bytetrack", [Detections.empty()] * 5)] == [0] * 5
