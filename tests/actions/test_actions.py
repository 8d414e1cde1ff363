"""Actions, zones and lines on tracks whose motion is known, and against supervision's zones."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.actions.describe import describe
from mot_reid.actions.motion import ACTIONS, Thresholds, actions
from mot_reid.actions.zones import crossings, inside, polygon, segment, visits
from mot_reid.structures import TrackTable

RATE = 12.5


def walk(
    speed, *, seconds=8.0, height=100.0, jitter=0.0, seed=0, track=1, angle=0.0, start=(300.0, 300.0)
) -> TrackTable:
    """A box of this height whose feet move at a speed in heights per second, or at one for each frame."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * RATE)
    step = np.broadcast_to(speed, frames) * height / RATE
    way = np.concatenate([[0], np.cumsum(step)[:-1]])
    x, y = start[0] + way * np.cos(angle), start[1] + way * np.sin(angle)
    half = 0.19 * height
    boxes = np.stack([x - half, y - height, x + half, y], axis=1) + jitter * height * rng.normal(size=(frames, 4))
    return TrackTable(np.arange(1, frames + 1), np.full(frames, track), boxes)


@pytest.mark.parametrize("speed", [0.05, 0.4, 0.8, 1.2, 2.0])
@pytest.mark.parametrize(("height", "angle"), [(60, 0.0), (240, 2.2)])
def test_speed_is_that_of_the_motion_whatever_the_size_and_direction(speed, height, angle) -> None:
    found, _ = actions(walk(speed, height=height, angle=angle), frame_rate=RATE)
    np.testing.assert_allclose(found, speed, rtol=1e-6)


def test_confusion_table_of_noisy_tracks_of_known_motion() -> None:
    """Forty tracks of each motion whose boxes jitter by 2 % of their height: at least 95 % of the frames are right."""
    rng = np.random.default_rng(0)
    known = {"standing": (0.0, 0.05), "walking": (0.5, 1.0), "running": (1.6, 2.6)}
    confusion = np.zeros((len(ACTIONS), len(ACTIONS)), int)
    for name, (low, high) in known.items():
        for seed in range(40):
            table = walk(rng.uniform(low, high), jitter=0.02, seed=seed, angle=rng.uniform(0, 2 * np.pi))
            _, found = actions(table, frame_rate=RATE)
            np.add.at(confusion[ACTIONS.index(name)], found, 1)
    shares = confusion[1:4, 1:4] / confusion[1:4].sum(axis=1, keepdims=True)
    assert (np.diag(shares) > 0.95).all(), confusion


def test_a_change_of_pace_is_found_where_it_happens() -> None:
    """Standing for 4 s, walking for 4 s, running for 4 s."""
    speed = np.repeat([0.0, 0.8, 2.0], 50)
    _, found = actions(walk(speed, seconds=12), frame_rate=RATE)
    names = [ACTIONS[one] for one in found]
    changes = [frame for frame in range(1, 150) if names[frame] != names[frame - 1]]
    assert [names[frame] for frame in (0, *changes)] == ["standing", "walking", "running"]
    np.testing.assert_allclose(changes, [50, 100], atol=6)  # half of the window of 1 s


def test_who_stays_in_one_place_for_long_loiters_and_who_passes_does_not() -> None:
    """Back and forth over 2 heights for 40 s; away from it along a line; and 20 s of the first, which is not long."""
    pacing = np.tile(np.repeat([0.5, -0.5], 50), 5)
    for table, expected in (
        (walk(pacing, seconds=40), {"loitering"}),
        (walk(0.5, seconds=40), {"walking"}),
        (walk(pacing[:250], seconds=20), {"walking", "standing"}),
    ):
        _, found = actions(table, frame_rate=RATE)
        assert {ACTIONS[one] for one in found} <= expected


def test_too_short_tracks_are_unknown() -> None:
    speed, found = actions(walk(1.0, seconds=0.2), frame_rate=RATE)
    assert np.isnan(speed).all() and (found == 0).all()


def test_a_point_is_inside_a_hollow_polygon_as_counted_by_hand() -> None:
    """An L: the notch at the upper right is outside."""
    corners = np.array([[0, 0], [4, 0], [4, 4], [8, 4], [8, 8], [0, 8]], float)
    points = np.array([[2, 2], [6, 2], [6, 6], [2, 6], [9, 6], [-1, 2]], float)
    assert inside(points, corners).tolist() == [True, False, True, True, False, False]


def test_visits_know_who_entered_who_left_and_how_long() -> None:
    """Feet begin at x = 300 and move 50 px/s to the right: they are between 350 and 450 from 1 s to 3 s."""
    zone = {"door": [[350, 0], [450, 0], [450, 600], [350, 600]], "start": [[0, 0], [340, 0], [340, 600], [0, 600]]}
    first, second = visits(walk(0.5, seconds=4), zone, frame_rate=RATE)
    assert (first.zone, first.entered, first.left, first.first_frame) == ("start", False, True, 1)
    assert (second.zone, second.entered, second.left) == ("door", True, True)
    assert second.seconds == pytest.approx(2.0, abs=0.08)
    assert second.first_frame == pytest.approx(1 + RATE, abs=1)


def test_a_step_over_the_edge_and_back_is_no_visit() -> None:
    table = walk(0.0, seconds=4, start=(100, 100))
    boxes = table.xyxy.copy()
    boxes[20:23, [0, 2]] += 100  # for three frames, 0.24 s
    zone = {"door": [[150, 0], [400, 0], [400, 400], [150, 400]]}
    assert visits(table.replace(xyxy=boxes), zone, frame_rate=RATE) == ()


def test_crossings_count_directions_and_only_between_the_ends() -> None:
    """A line downwards at x = 350; to the right of who walks down is a smaller x."""
    line = {"gate": [[350, 250], [350, 350]], "far": [[350, 0], [350, 250]]}
    right, left = walk(0.5, seconds=4, track=1), walk(-0.5, seconds=4, track=2, start=(400, 300))
    found = crossings(TrackTable.concatenate([right, left]), line)
    assert [(one.track_id, one.line, one.direction) for one in found] == [(1, "gate", "out"), (2, "gate", "in")]
    assert found[0].frame == pytest.approx(1 + RATE, abs=1)


def test_zones_and_lines_of_supervision_are_taken_and_say_the_same() -> None:
    """Random ways over a slanted line and a polygon; supervision counts frame by frame."""
    supervision = pytest.importorskip("supervision")
    corners = np.array([[150, 200], [450, 150], [420, 430], [200, 400]])
    line = supervision.LineZone(
        supervision.Point(-2000, 250), supervision.Point(2600, 330),
        triggering_anchors=[supervision.Position.BOTTOM_CENTER],
    )  # fmt: skip
    rng = np.random.default_rng(3)
    parts = [
        walk(rng.uniform(0.3, 1.5), seconds=6, track=n, angle=rng.uniform(0, 6.3), start=rng.uniform(150, 450, 2))
        for n in range(1, 31)
    ]
    table = TrackTable.concatenate(parts)
    zone = supervision.PolygonZone(corners, triggering_anchors=[supervision.Position.BOTTOM_CENTER])
    within = []
    for frame in range(1, 76):
        rows = table[table.frame == frame]
        given = supervision.Detections(rows.xyxy, tracker_id=rows.track_id)
        line.trigger(given)
        within.append(int(zone.trigger(given).sum()))
    found = [one.direction for one in crossings(table, {"line": line})]
    assert (found.count("in"), found.count("out")) == (line.in_count, line.out_count)
    assert line.in_count > 2 and line.out_count > 2
    ours = sum(visit.seconds * RATE for visit in visits(table, {"zone": zone}, frame_rate=RATE))
    assert ours == pytest.approx(sum(within), rel=0.02)  # a pixel's edge, and steps over it and back


def test_columns_and_summary_hold_what_was_found() -> None:
    table = TrackTable.concatenate([walk(0.8, seconds=4), walk(0.0, seconds=4, track=2, start=(50, 50))])
    zone = {"corner": [[0, 0], [90, 0], [90, 90], [0, 90]]}
    found = describe(table, frame_rate=RATE, zones=zone, lines={"gate": [[350, 0], [350, 600]]})
    columns = found.columns()
    assert set(columns) == {"action", "speed", "zone"}
    assert set(columns["action"][:50]) == {"walking"} and set(columns["action"][50:]) == {"standing"}
    assert set(columns["zone"][:50]) == {""} and set(columns["zone"][50:]) == {"corner"}
    told = found.summary()
    assert told["seconds"] == {"standing": 4.0, "walking": 4.0}
    assert told["tracks"]["2"] == {"standing": 4.0}
    assert [visit["track_id"] for visit in told["visits"]] == [2] and told["visits"][0]["seconds"] == 4.0
    assert [(one["track_id"], one["direction"]) for one in told["crossings"]] == [(1, "out")]
    empty = describe(TrackTable.empty(), frame_rate=RATE, zones=zone)
    assert empty.summary() == {"seconds": {}, "tracks": {}, "visits": [], "crossings": []}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Thresholds(standing=2.0), "actions standing: got 2.0; expected less than running"),
        (lambda: Thresholds(window_seconds=0), "actions window_seconds: got 0"),
        (lambda: segment([[1, 1], [1, 1]], name="gate"), "gate: got .*; expected two different points"),
        (lambda: visits(walk(1), {"door": [[0, 0], [1, 1]]}, frame_rate=RATE), "door: got .*three or more corners"),
        (lambda: polygon([[0, 0], [1, 1], [4, 4]], name="door"), "door: got .*, all on one line; expected corners"),
        (lambda: polygon([[0, 0], [10**400, 0], [4, 9]], name="door"), "door: got .*three or more corners in pixels"),
        (lambda: polygon([[0, 0], [1e300, 0], [4, 9]], name="door"), "door: got .*three or more corners in pixels"),
        (lambda: describe(walk(1), frame_rate=0), "frame_rate: got 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()
