"""The causes of switches and fragments, each on a scene made for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mot_reid.metrics.mot import evaluate_mot
from mot_reid.metrics.mot_events import CAUSES, MotEvent, find_events
from mot_reid.structures import TrackTable

BOX = np.array([0.0, 0.0, 20.0, 40.0])


def path(frames, identity, *, x=0.0, y=0.0, speed=0.0, score=0.9):
    """A box of 20 x 40 that moves right by `speed` pixels a frame from `x` in frame 1."""
    frames = np.asarray(frames)
    left = x + speed * (frames - 1)
    xyxy = BOX + np.stack([left, np.full(len(frames), y), left, np.full(len(frames), y)], axis=1)
    return TrackTable(frames, np.full(len(frames), identity), xyxy, np.full(len(frames), score))


def join(*tables):
    return TrackTable.concatenate(tables)


def events(truth, result, detections=None):
    pairs = evaluate_mot(truth, result, benchmark="MOT15").pairs["sequence"]
    return find_events(truth, result, pairs, detections=detections)


def one(truth, result, detections=None) -> MotEvent:
    found = events(truth, result, detections)
    assert len(found) == 1
    return found[0]


FAR = path(range(1, 41), 99, x=900)
"""Somebody who is always matched, so that every frame has boxes on both sides."""


def test_a_flawless_result_has_no_events():
    assert events(path(range(1, 9), 1), path(range(1, 9), 5)) == []


def test_an_event_tells_persons_tracks_frames_and_boxes():
    event = one(path(range(1, 11), 1), join(path(range(1, 5), 7), path(range(5, 11), 8)))
    assert (event.kind, event.person, event.last_track, event.track) == ("switch", 1, 7, 8)
    assert (event.last_frame, event.frame, event.between) == (4, 5, 0)
    assert event.last_box.tolist() == event.box.tolist() == BOX.tolist()


def test_old_track_is_expected_where_constant_velocity_takes_it():
    """Last box at 4 x 3 pixels; five frames later it has moved by 5 x 3 more; the overlap is 1 there."""
    truth = join(FAR, path(range(1, 20), 1, speed=3))
    result = join(FAR, path(range(1, 6), 7, speed=3), path(range(10, 20), 8, speed=3))
    event = one(truth, result)
    assert event.expected.tolist() == (BOX + np.array([27, 0, 27, 0])).tolist()
    assert (event.iou, event.between) == (pytest.approx(1), 4)


def test_missing_detections_are_counted_one_box_for_one_person():
    """Both persons stand at one place, where one box is found: it is nobody else's, too."""
    truth = join(FAR, path(range(1, 20), 1), path(range(1, 20), 2, x=4, y=2))
    result = join(FAR, path(range(1, 20), 6, x=4, y=2), path(range(1, 6), 7), path(range(10, 20), 8))
    event = one(truth, result)
    assert (event.between, event.missing, event.hidden) == (4, 4, 4)


def test_a_box_that_overlaps_by_less_than_half_is_not_the_persons():
    """Shifted by 8 of 20 pixels: overlap 12 / 28."""
    truth, result = still(7, 8)
    beside = path(range(6, 10), 0, x=8)
    assert one(truth, result, join(result, beside)).missing == 4


def test_frames_in_which_the_old_track_is_elsewhere_are_counted():
    result = join(FAR, path(range(1, 6), 7), path([6, 7], 7, x=300), path(range(10, 20), 8))
    event = one(join(FAR, path(range(1, 20), 1)), result)
    assert (event.reported, event.between) == (2, 4)


# Causes of a switch


def test_crossing_when_the_old_track_went_to_another_person():
    truth = join(path(range(1, 11), 1), path(range(1, 11), 2, x=100))
    result = join(
        path(range(1, 6), 7), path(range(6, 11), 7, x=100), path(range(1, 6), 8, x=100), path(range(6, 11), 8)
    )
    found = events(truth, result)
    assert [(event.person, event.neighbour, event.cause()) for event in found] == [
        (1, 2, "crossing"),
        (2, 1, "crossing"),
    ]


def test_crossing_when_the_new_track_came_from_another_person():
    truth = join(FAR, path(range(1, 11), 1), path(range(1, 6), 2, x=100))
    result = join(FAR, path(range(1, 6), 7), path(range(1, 6), 8, x=100), path(range(6, 11), 8))
    event = one(truth, result)
    assert (event.neighbour, event.cause()) == (2, "crossing")


def test_no_crossing_when_the_new_track_was_on_the_person_before():
    """Track 7, then 8, then 7 again: the second switch goes back to a track that was on nobody else."""
    result = join(FAR, path(range(1, 6), 7), path(range(6, 11), 8), path(range(11, 16), 7))
    assert [event.neighbour for event in events(join(FAR, path(range(1, 16), 1)), result)] == [None, None]


def still(identity_before, identity_after, gap=(6, 10)):
    """A person of 19 frames who is matched to one track before a gap and to another after it."""
    truth = join(FAR, path(range(1, 20), 1))
    parts = path(range(1, gap[0]), identity_before), path(range(gap[1], 20), identity_after)
    return truth, join(FAR, *parts)


def test_missed_detection_when_no_box_was_found_on_somebody_in_sight():
    assert one(*still(7, 8)).cause() == "missed detection"


def test_hidden_when_no_box_was_found_behind_somebody_nearer():
    truth, result = still(7, 8)
    nearer = path(range(1, 20), 2, x=4, y=2)
    event = one(join(truth, nearer), join(result, nearer.replace(track_id=np.full(19, 6))))
    assert (event.hidden, event.cause()) == (4, "hidden")


def test_missed_detection_when_hidden_in_less_than_half_of_the_frames_without_a_box():
    truth, result = still(7, 8)
    nearer = path([6], 2, x=4, y=2)
    event = one(join(truth, nearer), join(result, nearer.replace(track_id=[6])))
    assert (event.hidden, event.missing, event.cause()) == (1, 4, "missed detection")


def test_somebody_farther_away_hides_nobody():
    truth, result = still(7, 8)
    farther = path(range(1, 20), 2, x=4, y=-2)
    event = one(join(truth, farther), join(result, farther.replace(track_id=np.full(19, 6))))
    assert (event.hidden, event.cause()) == (0, "missed detection")


@pytest.mark.parametrize(("score", "cause"), [(0.3, "weak detection"), (0.8, "association")])
def test_scores_of_the_boxes_between_tell_a_weak_detection(score, cause):
    truth, result = still(7, 8)
    event = one(truth, result, join(result, path(range(6, 10), 0, score=score)))
    assert (event.missing, event.score, event.cause()) == (0, pytest.approx(score), cause)


def test_gate_when_the_person_jumped():
    truth = join(FAR, path(range(1, 6), 1), path(range(6, 20), 1, x=60))
    event = one(truth, join(FAR, path(range(1, 6), 7), path(range(6, 20), 8, x=60)))
    assert (event.iou, event.cause()) == (0, "gate")
    assert np.isnan(event.camera_iou)


def test_camera_motion_when_everybody_jumped():
    """Four people move by 60 pixels at once; the tracks of three follow, that of the first does not."""
    truths, results = [], []
    for person in range(1, 5):
        x = 100.0 * person
        truths += [path(range(1, 6), person, x=x), path(range(6, 20), person, x=x + 60)]
        results += [path(range(1, 6), 10 + person, x=x)]
        results += [path(range(6, 20), 20 if person == 1 else 10 + person, x=x + 60)]
    event = one(join(*truths), join(*results))
    assert (event.iou, event.camera_iou, event.cause()) == (0, pytest.approx(1), "camera motion")


@pytest.mark.parametrize(("cosine", "cause"), [(0.2, "appearance"), (0.8, "association"), (np.nan, "association")])
def test_appearance_when_the_looks_differ(cosine, cause):
    event = one(path(range(1, 11), 1), join(path(range(1, 5), 7), path(range(5, 11), 8)))
    assert dataclasses.replace(event, cosine=cosine).cause(threshold=0.5) == cause


def test_duplicate_when_both_tracks_go_on():
    result = join(path(range(1, 6), 7), path(range(6, 11), 7, x=12), path(range(3, 6), 8, x=12), path(range(6, 11), 8))
    event = one(path(range(1, 11), 1), result)
    assert event.cause() == "duplicate"


# Causes of a fragment


def test_fragment_by_localisation_when_the_track_was_there_beside_the_person():
    result = join(FAR, path(range(1, 6), 7), path(range(6, 10), 7, x=12), path(range(10, 20), 7))
    event = one(join(FAR, path(range(1, 20), 1)), result)
    assert (event.kind, event.cause()) == ("fragment", "localisation")


def test_fragment_with_the_track_there_for_less_than_half_is_not_by_localisation():
    result = join(FAR, path(range(1, 6), 7), path([6], 7, x=12), path(range(10, 20), 7))
    event = one(join(FAR, path(range(1, 20), 1)), result)
    assert (event.reported, event.between, event.cause()) == (1, 4, "missed detection")


def test_fragment_by_missed_detection_when_half_of_the_boxes_are_missing():
    truth, result = still(7, 7)
    half = join(result, path([6, 7], 0))
    assert one(truth, result, half).cause() == "missed detection"
    assert one(truth, result, join(half, path([8], 0))).cause() == "association"


def test_fragment_by_weak_detection():
    truth, result = still(7, 7)
    assert one(truth, result, join(result, path(range(6, 10), 0, score=0.2))).cause() == "weak detection"


def test_events_are_in_the_order_of_frames_and_every_cause_is_explained():
    truth = join(path(range(1, 31), 1), path(range(1, 31), 2, x=200))
    result = join(
        path(range(1, 21), 7), path(range(21, 31), 8), path(range(1, 11), 9, x=200), path(range(11, 31), 10, x=200)
    )
    found = events(truth, result)
    assert [event.frame for event in found] == [11, 21]
    assert {event.cause() for event in found} <= set(CAUSES)


def test_events_are_those_that_clear_counts(synthetic_pair):
    truth, result = synthetic_pair
    scored = evaluate_mot(truth, result, benchmark="MOT15")
    found = find_events(truth, result, scored.pairs["sequence"])
    clear = scored.combined.clear
    both = int((scored.pairs["sequence"].switch & scored.pairs["sequence"].fragment).sum())
    kinds = [event.kind for event in found]
    assert (kinds.count("switch"), kinds.count("fragment")) == (clear.idsw, clear.frag - both)
    assert clear.idsw > 5


@pytest.fixture
def synthetic_pair():
    """Twelve people in a crowd, and tracks that swap them at random."""
    rng = np.random.default_rng(3)
    truth = join(*[path(range(1, 41), person, x=15.0 * person) for person in range(12)])
    number = np.where(rng.random(len(truth)) < 0.1, rng.integers(100, 104, len(truth)), truth.track_id)
    kept = rng.random(len(truth)) > 0.15
    result = truth.replace(track_id=number)[kept]
    _, first = np.unique(np.stack([result.frame, result.track_id]), axis=1, return_index=True)
    return truth, result[np.sort(first)]
