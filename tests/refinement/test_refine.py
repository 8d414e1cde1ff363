"""Refinement on tracks whose right answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mot_reid import TrackTable, refine
from mot_reid.refinement.gaussian_process import predict
from mot_reid.refinement.joining import join_by_appearance, join_by_motion
from mot_reid.refinement.splitting import split_by_appearance


def walk(track_id: int, frames: Any, *, start: float = 0.0, speed: float = 4.0, y: float = 0.0) -> TrackTable:
    """Somebody of 40 x 100 pixels who walks to the right."""
    frame = np.asarray(frames)
    x = start + speed * frame
    box = np.stack([x, np.full(len(x), y), x + 40, np.full(len(x), y + 100.0)], axis=1)
    return TrackTable(frame, np.full(len(frame), track_id), box, np.full(len(frame), 0.5))


def looks(*parts: tuple[int, int]) -> np.ndarray:
    """(rows, 3) embeddings: for each part how many rows, and along which axis."""
    return np.concatenate([np.tile(np.eye(3, dtype=np.float32)[axis], (rows, 1)) for rows, axis in parts])


def join(*tables: TrackTable) -> TrackTable:
    return TrackTable.concatenate(tables)


@pytest.mark.parametrize("part", ["fill_linear", "fill_gaussian"])
def test_gap_at_constant_speed_is_filled_exactly(part: str) -> None:
    whole = walk(7, np.arange(1, 41))
    seen = whole[(whole.frame < 12) | (whole.frame > 20)]
    filled = refine(seen, [part])
    np.testing.assert_array_equal(filled.frame, whole.frame)
    np.testing.assert_allclose(filled.xyxy, whole.xyxy, atol=1e-8)
    np.testing.assert_array_equal(filled.filled, (whole.frame >= 12) & (whole.frame <= 20))
    assert set(filled.track_id) == {7}


def test_gap_longer_than_allowed_stays() -> None:
    table = walk(1, [1, 2, 13, 14])
    assert len(refine(table, ["fill_linear"], frame_rate=10, max_gap_seconds=0.9)) == 4
    assert len(refine(table, ["fill_linear"], frame_rate=10, max_gap_seconds=1.0)) == 14


def test_score_and_class_of_filled_rows_lie_between() -> None:
    table = TrackTable([1, 5], [1, 1], [[0, 0, 4, 4], [4, 0, 8, 4]], [0.2, 0.6], [3, 3])
    filled = refine(table, "fill_linear")
    np.testing.assert_allclose(filled.score, [0.2, 0.3, 0.4, 0.5, 0.6])
    assert filled.class_id.tolist() == [3] * 5


def test_smoothing_keeps_a_straight_walk_and_calms_a_jittered_one() -> None:
    straight = walk(1, np.arange(1, 401))
    np.testing.assert_allclose(refine(straight, ["smooth"]).xyxy, straight.xyxy, atol=1e-6)
    noise = np.random.default_rng(0).normal(0, 2, (400, 2))[:, [0, 1, 0, 1]]
    smoothed = refine(straight.replace(xyxy=straight.xyxy + noise), ["smooth"]).xyxy
    assert np.abs(smoothed - straight.xyxy).mean() < 0.6 * np.abs(noise).mean()


def test_process_without_noise_goes_through_its_values() -> None:
    time, values = np.arange(6.0), np.array([[0.0], [1], [0], [2], [1], [3]])
    np.testing.assert_allclose(predict(time, values, time, scale=1.0, noise=1e-6), values, atol=1e-4)


def test_walk_that_was_interrupted_is_joined_by_motion() -> None:
    table = join(walk(1, np.arange(1, 20)), walk(2, np.arange(30, 50)))
    joined = join_by_motion(table, max_gap=15, limit=0.5, frame_rate=30)
    assert set(joined) == {1}
    filled = refine(table, ["join_motion", "fill_linear"])
    np.testing.assert_allclose(filled.xyxy, walk(1, np.arange(1, 50)).xyxy, atol=1e-8)


@pytest.mark.parametrize(
    "second",
    [
        walk(2, np.arange(30, 50), speed=-8.0, start=360.0),  # begins there, but comes from the other side
        walk(2, np.arange(30, 50), y=300.0),
        walk(2, np.arange(19, 50)),  # seen with the first one in frame 19
        walk(2, np.arange(60, 80)),  # after too long
    ],
)
def test_others_are_not_joined_by_motion(second: TrackTable) -> None:
    table = join(walk(1, np.arange(1, 20)), second)
    assert set(join_by_motion(table, max_gap=15, limit=0.5, frame_rate=30)) == {1, 2}


def test_looks_forbid_what_motion_would_join() -> None:
    table = join(walk(1, np.arange(1, 20)), walk(2, np.arange(30, 50)))
    for axis, expected in ((0, {1}), (1, {1, 2})):
        embedding = looks((19, 0), (20, axis))
        assert set(refine(table, ["join_motion"], embedding=embedding).track_id) == expected


def test_somebody_who_comes_back_is_joined_by_looks() -> None:
    table = join(walk(1, np.arange(1, 20)), walk(2, np.arange(300, 320), y=50.0), walk(3, np.arange(305, 320), y=900.0))
    embedding = looks((19, 0), (20, 0), (15, 1))
    assert join_by_appearance(table, embedding, threshold=0.5, frame_rate=30).tolist() == [1] * 39 + [3] * 15


def test_two_who_were_seen_together_are_never_joined_whoever_looks_like_whom() -> None:
    """1 and 2 share frame 19; 3 looks like both and joins one of them only."""
    table = join(walk(1, np.arange(1, 20)), walk(2, np.arange(19, 40), y=50.0), walk(3, np.arange(100, 120)))
    embedding = looks((19, 0), (21, 0), (20, 0))
    joined = join_by_appearance(table, embedding, threshold=0.5, frame_rate=30)
    assert len(set(joined)) == 2
    assert joined[0] != joined[20]


def test_strangers_who_look_alike_raise_the_threshold() -> None:
    """1 and 2 walk together and are 0.8 alike, so that 0.75 is no sign of one person here."""
    near = np.array([0.8, 0.6, 0], np.float32)
    third = np.array([0.75, 0, np.sqrt(1 - 0.75**2)], np.float32)
    table = join(walk(1, np.arange(1, 20)), walk(2, np.arange(1, 20), y=200.0), walk(3, np.arange(100, 120)))
    embedding = np.concatenate([looks((19, 0)), np.tile(near, (19, 1)), np.tile(third, (20, 1))])
    assert set(join_by_appearance(table, embedding, threshold=0.5, frame_rate=30)) == {1, 2, 3}
    alone = table.track_id != 2
    assert set(join_by_appearance(table[alone], embedding[alone], threshold=0.5, frame_rate=30)) == {1}


def test_nobody_is_joined_who_would_have_had_to_fly() -> None:
    table = join(walk(1, np.arange(1, 20)), walk(2, np.arange(30, 50), start=5000.0))
    assert set(join_by_appearance(table, looks((39, 0)), threshold=0.5, frame_rate=30)) == {1, 2}


def test_track_of_two_people_is_cut_where_the_second_begins() -> None:
    table = walk(4, np.arange(1, 41))
    cut = split_by_appearance(table, looks((25, 0), (15, 1)), threshold=0.5, margin=0.2, least=5)
    assert cut.tolist() == [4] * 25 + [5] * 15
    same = split_by_appearance(table, looks((40, 0)), threshold=0.5, margin=0.2, least=5)
    assert set(same) == {4}


def test_rows_without_embedding_stay_with_those_before_them() -> None:
    table = walk(4, np.arange(1, 41))
    embedding = looks((20, 0), (20, 1))
    embedding[1::2] = np.nan
    cut = split_by_appearance(table, embedding, threshold=0.5, margin=0.2, least=5)
    assert cut.tolist() == [4] * 20 + [5] * 20


def test_table_is_not_written_to_and_order_of_rows_does_not_matter() -> None:
    table = join(walk(1, [1, 2, 3, 9, 10, 11]), walk(2, [20, 21, 22]))
    before = table.xyxy.copy()
    shuffled = table[np.random.default_rng(0).permutation(len(table))]
    first, second = refine(table), refine(shuffled)
    np.testing.assert_array_equal(table.xyxy, before)
    np.testing.assert_array_equal(first.xyxy, second.xyxy)
    np.testing.assert_array_equal(first.track_id, second.track_id)


def test_tables_of_refine_say_that_they_are_offline() -> None:
    table = walk(1, np.arange(1, 4))
    assert table.filled is None
    assert refine(table, []).filled is not None
    assert refine(TrackTable.empty()).filled is not None


def test_refined_table_may_be_refined_again() -> None:
    once = refine(walk(1, [1, 2, 9, 10]), ["fill_linear"])
    again = refine(once, ["fill_linear"])
    np.testing.assert_array_equal(again.filled, once.filled)
    np.testing.assert_array_equal(again.xyxy, once.xyxy)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"parts": ["smoth"]}, "refine: got 'smoth'; expected .*; did you mean 'smooth'?"),
        ({"parts": ["split"]}, "refine: got 'split' without embeddings; expected those of a Re-ID model"),
        ({"parts": ["fill_linear", "fill_gaussian"]}, "expected one of them"),
        ({"frame_rate": 0}, "frame_rate: got 0; expected a number above 0"),
        ({"embedding": np.zeros((2, 3))}, r"embedding: got shape \(2, 3\); expected \(3, D\)"),
        ({"embedding": np.ones((3, 3))}, "got length 1.73 in row 0; expected 1"),
    ],
)
def test_mistakes_are_named(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        refine(walk(1, [1, 2, 3]), **keywords)


def test_somebody_in_two_places_is_refused() -> None:
    with pytest.raises(ValueError, match="got identity 1 twice in frame 2; expected it once"):
        refine(walk(1, [1, 2, 2]))
