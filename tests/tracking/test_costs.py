"""costs.py against dense IoU, hand examples and naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mot_reid import boxes
from mot_reid.tracking import costs
from mot_reid.tracking.costs import Pairs, Scene, direction_bonus, overlapping_pairs, unit_step


def random_boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, (count, 2))
    return np.hstack([corner, corner + rng.uniform(5, 80, (count, 2))]).T


@pytest.mark.parametrize("sweep_from", [0, 10**9], ids=["sweep", "all with all"])
@pytest.mark.parametrize("shape", [(30, 40), (1, 1), (0, 5), (5, 0)])
def test_overlapping_pairs_are_those_of_the_dense_matrix(sweep_from, shape, monkeypatch):
    monkeypatch.setattr(costs, "_SWEEP_FROM", sweep_from)
    first, second = random_boxes(1, shape[0]), random_boxes(2, shape[1])
    pairs = overlapping_pairs(first, second)
    dense = np.zeros(shape)
    dense[pairs.row, pairs.column] = pairs.iou
    np.testing.assert_allclose(dense, boxes.iou(first.T, second.T), atol=1e-12)
    assert (pairs.iou > 0).all() and (np.diff(pairs.row) >= 0).all()


@pytest.mark.parametrize("sweep_from", [0, 10**9], ids=["sweep", "all with all"])
def test_overlapping_pairs_never_contain_an_unknown_box(sweep_from, monkeypatch):
    monkeypatch.setattr(costs, "_SWEEP_FROM", sweep_from)
    first = random_boxes(3, 6)
    first[:, 2] = np.nan
    pairs = overlapping_pairs(first, random_boxes(3, 6))
    assert 2 not in pairs.row and {0, 1, 3, 4, 5} <= set(pairs.row.tolist())


def test_gate_of_one_leaves_no_room_and_divides_by_nothing():
    pairs = Pairs(np.zeros(2, int), np.arange(2), np.array([0.5, 0.5]), np.array([0.9, 1.0]))
    with np.errstate(all="raise"):
        cost = costs.blend(pairs, Scene(np.ones(2), gate=1.0, proximity=0.1))
    np.testing.assert_allclose(cost, [0.5 + 0.4, 0.5])


def test_overlapping_pairs_with_a_pixel_count_the_last_row_and_column():
    box = np.array([[0.0], [0.0], [1.0], [1.0]])
    shifted = box + np.array([[1.0], [0.0], [1.0], [0.0]])
    assert len(overlapping_pairs(box, shifted)) == 0
    np.testing.assert_allclose(overlapping_pairs(box, shifted, pixel=1.0).iou, [2 / 6])


PAIRS = Pairs(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0.8, 0.4, 0.6]), np.array([0.9, 0.3, np.nan]))
SCENE = Scene(score=np.array([0.5, 1.0]), gate=0.5, proximity=0.5)


def test_iou_is_one_minus_the_overlap():
    np.testing.assert_allclose(costs.iou(PAIRS, SCENE), [0.2, 0.6, 0.4])


def test_iou_score_weighs_the_overlap_with_the_score():
    np.testing.assert_allclose(costs.iou_score(PAIRS, SCENE), [0.6, 0.6, 0.4])


def test_appearance_takes_half_the_cosine_distance_of_close_and_similar_pairs_only():
    np.testing.assert_allclose(costs.appearance(PAIRS, SCENE), [0.05, 0.6, 0.4])


def test_appearance_ignores_similar_pairs_that_are_far_apart():
    far = Scene(SCENE.score, gate=0.5, proximity=0.9)
    np.testing.assert_allclose(costs.appearance(PAIRS, far), [0.6, 0.6, 0.4])


@pytest.mark.parametrize("name", ["appearance", "blend"])
def test_without_embeddings_appearance_is_the_motion_cost(name):
    plain = Pairs(PAIRS.row, PAIRS.column, PAIRS.iou)
    np.testing.assert_array_equal(costs.COSTS[name](plain, SCENE), costs.iou_score(plain, SCENE))


def test_direction_bonus_matches_the_formula_for_single_pairs():
    rng = np.random.default_rng(0)
    reference, seen = random_boxes(4, 3), random_boxes(5, 4)
    angle = rng.uniform(0, 2 * math.pi, 3)
    direction, score = np.array([np.cos(angle), np.sin(angle)]), rng.random(4)
    bonus = direction_bonus(reference, direction, seen, score=score)
    for i in range(3):
        for j in range(4):
            dx = (seen[0, j] + seen[2, j] - reference[0, i] - reference[2, i]) / 2
            dy = (seen[1, j] + seen[3, j] - reference[1, i] - reference[3, i]) / 2
            between = math.acos(
                max(-1, min(1, (dx * direction[0, i] + dy * direction[1, i]) / (math.hypot(dx, dy) + 1e-6)))
            )
            assert bonus[i, j] == pytest.approx((math.pi / 2 - between) / math.pi * score[j], abs=1e-9)


def test_direction_bonus_of_a_track_never_observed_is_zero():
    unknown = np.full((4, 1), np.nan)
    assert not direction_bonus(unknown, np.zeros((2, 1)), random_boxes(6, 3), score=np.ones(3)).any()


def test_unit_step_of_no_movement_is_zero():
    box = random_boxes(7, 1)
    np.testing.assert_array_equal(unit_step(box, box), [[0.0], [0.0]])


def test_height_iou_weighs_the_overlap_with_that_of_the_heights():
    """By hand: 10 x 50 of 10 x 100 is shared, and 50 of 100 in height."""
    track, box = np.array([[0.0], [0], [10], [100]]), np.array([[0.0], [50], [10], [100]])
    pairs = overlapping_pairs(track, box)
    cost = costs.height_iou(pairs, Scene(np.array([0.9]), tracks=track, boxes=box))
    np.testing.assert_allclose(cost, [1 - 0.5 * 0.5])


def test_corner_bonus_adds_the_agreement_of_four_corners():
    """By hand: the box moved right; two corners were going right (0.5 each), one down (0) and one left (-0.5)."""
    start, end = np.array([[0.0], [0], [10], [20]]), np.array([[5.0], [0], [15], [20]])
    corners = np.array([[1.0, 0], [1, 0], [0, 1], [-1, 0]])[:, :, None]
    bonus = costs.corner_bonus(start, corners, end, score=np.array([0.8]))
    np.testing.assert_allclose(bonus, [[(0.5 + 0.5 + 0 - 0.5) * 0.8]], atol=1e-3)
    unseen = costs.corner_bonus(np.full((4, 1), np.nan), corners, end, score=np.array([0.8]))
    np.testing.assert_allclose(unseen, [[0.0]])
