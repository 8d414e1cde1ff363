"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid.boxes import iou
from mot_reid.detection.suppression import suppress


def naive(xyxy: np.ndarray, score: np.ndarray, class_id: np.ndarray, limit: float) -> list[int]:
    """The definition: best first, each kept unless a kept one of its class overlaps it too much."""
    kept: list[int] = []
    for row in sorted(range(len(score)), key=lambda row: (-score[row], row)):
        if all(class_id[row] != class_id[k] or iou(xyxy[row], xyxy[k])[0, 0] <= limit for k in kept):
            kept.append(row)
    return kept


def crowd(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (count, 2))
    xyxy = np.hstack([corner, corner + rng.uniform(5, 40, (count, 2))])
    return xyxy, rng.uniform(0, 1, count).round(1), rng.integers(0, 2, count)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [0.3, 0.7])
def test_suppression_is_the_naive_loop(seed: int, limit: float) -> None:
    boxes = crowd(seed)
    assert suppress(*boxes, limit=limit).tolist() == naive(*boxes, limit)


def test_overlap_at_the_limit_is_kept() -> None:
    xyxy = np.array([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    assert suppress(xyxy, np.array([0.9, 0.8]), np.zeros(2, np.int64), limit=0.5).tolist() == [0, 1]
    assert suppress(xyxy, np.array([0.9, 0.8]), np.zeros(2, np.int64), limit=0.49).tolist() == [0]


def test_other_classes_are_left_alone() -> None:
    xyxy = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    assert suppress(xyxy, np.array([0.8, 0.9]), np.array([0, 1]), limit=0.5).tolist() == [1, 0]


def test_no_more_than_asked_for_are_kept() -> None:
    xyxy = np.array([[0.0, 0, 1, 1], [5, 5, 6, 6], [8, 8, 9, 9]])
    kept = suppress(xyxy, np.array([0.1, 0.9, 0.5]), np.zeros(3, np.int64), limit=0.5, most=2)
    assert kept.tolist() == [1, 2]


def test_no_box_is_no_row() -> None:
    assert suppress(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), limit=0.5).tolist() == []
