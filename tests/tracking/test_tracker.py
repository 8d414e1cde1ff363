"""Tracker: one contract for every preset, time, classes, and the views of what happened."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from mot_reid import Detections, Tracker
from mot_reid.tracking.presets import BYTETRACK_REID, PRESETS
from tests.helpers.boxes_world import walking_people

EVERY_PRESET = pytest.mark.parametrize("preset", PRESETS)
NOTHING = np.zeros((0, 5))


def person(x: float, score: float = 0.9, y: float = 50.0) -> list[float]:
    return [x, y, x + 40.0, y + 100.0, score]


def people(*rows: list[float]) -> np.ndarray:
    return np.array(rows)


@EVERY_PRESET
def test_one_person_who_walks_keeps_one_identity(preset):
    tracker = Tracker(preset)
    identities = {int(k) for x in range(0, 90, 3) for k in tracker.update(people(person(x))).track_id}
    assert identities == {1}


@EVERY_PRESET
def test_two_people_far_apart_have_two_identities(preset):
    tracker = Tracker(preset)
    for x in range(0, 30, 3):
        tracks = tracker.update(people(person(x), person(400 - x)))
    assert sorted(tracks.track_id.tolist()) == [1, 2]
    left, right = tracks[np.argsort(tracks.xyxy[:, 0])]
    assert left.xyxy[0, 0] == pytest.approx(27, abs=3) and right.xyxy[0, 0] == pytest.approx(373, abs=3)


@EVERY_PRESET
def test_detection_names_the_row_of_the_box(preset):
    tracker = Tracker(preset)
    for x in range(0, 30, 3):
        rows = people(person(400 - x, 0.8), person(x, 0.95))
        tracks = tracker.update(rows)
    np.testing.assert_allclose(tracks.xyxy, rows[tracks.detection, :4], atol=5)
    np.testing.assert_array_equal(tracks.score, rows[tracks.detection, 4])


@EVERY_PRESET
def test_frames_without_detections_report_nothing(preset):
    tracker = Tracker(preset)
    tracker.update(people(person(0)))
    assert len(tracker.update(NOTHING)) == len(tracker.update([])) == len(tracker.update(Detections.empty())) == 0


@EVERY_PRESET
def test_low_scores_begin_no_track(preset):
    tracker = Tracker(preset)
    reported = sum(len(tracker.update(people(person(50, 0.3)))) for _ in range(6))
    assert reported == (6 if preset == "sort" else 0)  # SORT reads no scores


@EVERY_PRESET
def test_boxes_without_area_are_never_tracked(preset):
    tracker = Tracker(preset)
    assert sum(len(tracker.update(people([10, 10, 10, 60, 0.9]))) for _ in range(5)) == 0


@EVERY_PRESET
def test_answer_is_valid_where_a_box_shrinks_to_nothing(preset):
    tracker = Tracker(preset)
    for size in (200.0, 120.0, 60.0, 20.0, 5.0, 1.0, 0.5, 0.1):
        tracks = tracker.update(people([100, 100, 100 + size / 2, 100 + size, 0.9]))
        assert np.isfinite(tracks.xyxy).all() and (tracks.xyxy[:, 2:] >= tracks.xyxy[:, :2]).all()
    for _ in range(5):
        tracker.update(NOTHING)
        assert np.isfinite(tracker.lost.xyxy).all()


@pytest.mark.parametrize("preset", ["bytetrack", "botsort", "bytetrack_reid"])
def test_score_drop_is_bridged_by_the_second_stage(preset):
    tracker = Tracker(preset)
    for x in range(0, 15, 3):
        tracker.update(people(person(x)))
    assert tracker.update(people(person(15, 0.2))).track_id.tolist() == [1]


def test_ocsort_reports_the_detected_box_and_bytetrack_the_filtered_one():
    observed, filtered = Tracker("ocsort"), Tracker("bytetrack")
    rng = np.random.default_rng(0)
    for x in range(0, 30, 3):
        row = people(person(x + rng.normal()))
        first, second = observed.update(row), filtered.update(row)
    np.testing.assert_array_equal(first.xyxy, row[:, :4])
    assert np.abs(second.xyxy - row[:, :4]).max() > 1e-3


def test_bytetrack_reid_reports_a_box_three_tenths_of_the_way_from_the_filtered_to_the_detected_one():
    between, filtered = Tracker("bytetrack_reid"), Tracker(replace(BYTETRACK_REID, report="filtered"))
    rng = np.random.default_rng(0)
    for x in range(0, 30, 3):
        row = people(person(x + rng.normal()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no embeddings: motion alone moves the box
            first, second = between.update(row), filtered.update(row)
    assert np.abs(second.xyxy - row[:, :4]).max() > 1e-3
    np.testing.assert_allclose(first.xyxy, 0.7 * second.xyxy + 0.3 * row[:, :4], atol=1e-9)


# ---- time ----------------------------------------------------------------------------------------------------------


def test_confirm_hits_counts_the_sights_after_the_first():
    tracker = Tracker("bytetrack", confirm_hits=3)
    tracker.update(NOTHING)  # the first frame confirms at once
    assert [len(tracker.update(people(person(50)))) for _ in range(5)] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(("frame_rate", "survives"), [(30, 20), (15, 10), (60, 40)])
def test_frame_rate_scales_how_long_a_track_survives(frame_rate, survives):
    def identity(missed: int) -> int:
        tracker = Tracker("bytetrack", frame_rate=frame_rate, max_missed=20)
        for rows in [people(person(50))] * 4 + [NOTHING] * missed + [people(person(50))]:
            tracker.update(rows)
        return int(tracker.update(people(person(50))).track_id[0])

    assert (identity(survives), identity(survives + 1)) == (1, 2)


@EVERY_PRESET
def test_regular_times_change_nothing(preset):
    plain, timed = Tracker(preset, frame_rate=25), Tracker(preset, frame_rate=25)
    for number, frame in enumerate(walking_people(3, embedding=4)):
        expected, tracks = plain.update(frame), timed.update(frame, time_seconds=7.0 + number / 25)
        np.testing.assert_array_equal(expected.track_id, tracks.track_id)
        np.testing.assert_allclose(expected.xyxy, tracks.xyxy, atol=1e-6)


def test_skipped_frames_are_bridged_when_the_time_is_told():
    """A person walks 12 pixels a frame; then five frames are skipped, 60 of 40 pixels width."""
    for told, expected in ((True, [1]), (False, [])):
        tracker = Tracker("bytetrack", frame_rate=30)
        for number in range(10):
            tracker.update(people(person(12.0 * number)), time_seconds=number / 30 if told else None)
        tracks = tracker.update(people(person(12.0 * 15)), time_seconds=15 / 30 if told else None)
        assert tracks.track_id.tolist() == expected


def test_death_is_measured_in_time_not_in_updates():
    tracker = Tracker("bytetrack", frame_rate=30, max_missed=30)
    for number in range(5):
        tracker.update(people(person(50)), time_seconds=number / 30)
    tracker.update(NOTHING, time_seconds=0.5)
    tracker.update(NOTHING, time_seconds=1.5)  # more than one second unseen, in two updates
    assert len(tracker.lost) == 0


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (1.0, 1.0, "time_seconds: got 1.0; expected more than the last, 1.0"),
        (1.0, float("nan"), "time_seconds: got nan"),
        (1.0, None, "expected it in every update or in none"),
        (None, 1.0, "expected it in every update or in none"),
        (float("inf"), None, "expected a finite number"),
    ],
)
def test_times_that_do_not_grow_or_are_missing_are_refused(first, second, message):
    tracker = Tracker("bytetrack")
    with pytest.raises(ValueError, match=message):
        tracker.update(NOTHING, time_seconds=first)
        tracker.update(NOTHING, time_seconds=second)


# ---- classes -------------------------------------------------------------------------------------------------------


@EVERY_PRESET
def test_boxes_of_another_class_never_continue_a_track(preset):
    tracker = Tracker(preset)
    for _ in range(6):
        before = tracker.update(people([*person(50), 0.0]))
    after = [tracker.update(people([*person(50), 1.0])) for _ in range(5)][-1]
    assert before.class_id.tolist() == [0] and after.class_id.tolist() == [1]
    assert before.track_id.tolist() == [1] and after.track_id.tolist() == [2]


# ---- views ---------------------------------------------------------------------------------------------------------


def test_lost_shows_where_an_unseen_track_coasts():
    tracker = Tracker("bytetrack")
    for x in range(0, 60, 6):
        tracker.update(people(person(x), person(400)))
    for _ in range(3):
        tracker.update(people(person(400)))
    lost = tracker.lost
    assert lost.track_id.tolist() == [1] and lost.detection is None
    assert lost.xyxy[0, 0] == pytest.approx(54 + 3 * 6, abs=2)


def test_lost_is_empty_while_everyone_is_seen():
    tracker = Tracker("bytetrack")
    tracker.update(people(person(0)))
    assert len(tracker.lost) == 0


def test_decisions_tell_stage_overlap_and_cost_of_each_match():
    tracker = Tracker("bytetrack", explain=True)
    tracker.update(people(person(0), person(200)))
    tracker.update(people(person(4, 0.8), person(200, 0.3)))
    decided = tracker.decisions
    by_id = {int(row.track_id[0]): row for row in decided}
    overlap = 36 / 44
    assert by_id[1].stage[0] == "high/confirmed/iou_score" and by_id[2].stage[0] == "low/seen/iou"
    np.testing.assert_allclose([by_id[1].iou[0], by_id[1].cost[0]], [overlap, 1 - 0.8 * overlap])
    np.testing.assert_allclose([by_id[2].iou[0], by_id[2].cost[0]], [1, 0], atol=1e-12)
    assert by_id[1].detection.tolist() == [0] and np.isnan(by_id[1].cosine[0])


def test_decisions_are_refused_when_they_were_not_asked_for():
    with pytest.raises(ValueError, match="decisions: got a tracker with explain=False"):
        _ = Tracker("bytetrack").decisions


@EVERY_PRESET
def test_explain_changes_no_answer(preset):
    plain, explained = Tracker(preset), Tracker(preset, explain=True)
    for frame in walking_people(5, embedding=4):
        np.testing.assert_array_equal(plain.update(frame).xyxy, explained.update(frame).xyxy)
        decided = explained.decisions
        assert len(decided.detection) == len(set(zip(decided.detection.tolist(), decided.stage.tolist())))


# ---- state ---------------------------------------------------------------------------------------------------------


def test_state_of_another_preset_is_refused_and_leaves_the_tracker_alone():
    byte, sort = Tracker("bytetrack"), Tracker("sort")
    byte.update(people(person(0)))
    with pytest.raises(ValueError, match="tracker state: got preset 'bytetrack'; expected 'sort'"):
        sort.load_state_dict(byte.state_dict())
    assert sort.update(people(person(0))).track_id.tolist() == [1]


def test_state_of_another_frame_rate_is_refused():
    slow = Tracker(frame_rate=10)
    with pytest.raises(ValueError, match="tracker state: got frame_rate 10; expected 30, that of this tracker"):
        Tracker().load_state_dict(slow.state_dict())


@EVERY_PRESET
@pytest.mark.parametrize("broken", ["newer", "missing", "cut"])
def test_state_that_is_newer_or_incomplete_is_refused_and_leaves_the_tracker_alone(preset, broken):
    source, tracker = Tracker(preset), Tracker(preset)
    for frame in walking_people(1, frames=4, embedding=4):
        source.update(frame)
    for frame in walking_people(2, frames=4, embedding=4):
        tracker.update(frame)
    before, state = tracker.state_dict(), source.state_dict()
    if broken == "newer":
        state["format_version"] = np.array(99)
    elif broken == "missing":
        del state["tracks/filter"]
    else:
        state["tracks/score"] = state["tracks/score"][:-1]
    with pytest.raises(ValueError, match="tracker state"):
        tracker.load_state_dict(state)
    for name, value in tracker.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_state_holds_copies():
    tracker = Tracker("bytetrack")
    tracker.update(people(person(0)))
    tracker.state_dict()["tracks/filter"][:] = 0
    assert tracker.update(people(person(1))).track_id.tolist() == [1]


@pytest.mark.parametrize(
    ("preset", "frames"),
    [
        ("bytetrack_reid", 1_500),
        *(pytest.param(name, 100_000, marks=pytest.mark.slow) for name in ("bytetrack_reid", "ocsort")),
    ],
)
def test_memory_stays_flat(preset, frames):
    """New people all the time: the state after many frames is no larger than after the first tenth."""
    tracker, rng, sizes = Tracker(preset), np.random.default_rng(0), []
    if tracker.preset.appearance is not None:
        tracker = Tracker(preset, max_lost_seconds=5)
    for number in range(frames):
        x = np.array([0.0, 400.0]) + (number % 20)
        y = np.full(2, 200.0 * (number // 20 % 3))
        look = rng.normal(size=(2, 8))
        tracker.update(Detections(np.stack([x, y, x + 40, y + 90], 1), [0.9, 0.8],
                                  embedding=look / np.linalg.norm(look, axis=1, keepdims=True)))  # fmt: skip
        sizes.append(sum(value.nbytes for value in tracker.state_dict().values()) if number % 50 == 49 else 0)
    assert max(sizes[frames // 10 :]) <= 1.2 * max(sizes[: frames // 10])
    assert tracker.update(NOTHING).track_id.size == 0


# ---- imports -------------------------------------------------------------------------------------------------------


def test_importing_and_running_a_tracker_loads_no_torch():
    code = (
        "import sys; from mot_reid import Tracker; Tracker().update([[0, 0, 9, 9, 0.9]]);"
        "print([name for name in ('torch', 'cv2', 'pandas', 'lightning', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
