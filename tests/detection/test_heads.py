"""What the outputs of each kind of network mean, against values by hand and a decode written cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mot_reid.detection.heads import HEADS, detr, kinds, yolo, yolox


def naive_yolox(output: np.ndarray, size: tuple[int, int], floor: float) -> list[list[float]]:
    """One cell after the other, as YOLOX' paper and its demo describe them."""
    found, row = [], 0
    for stride in (8, 16, 32):
        for y in range(size[0] // stride):
            for x in range(size[1] // stride):
                dx, dy, log_w, log_h, objectness, *classes = (float(value) for value in output[row])
                row += 1
                best = max(range(len(classes)), key=classes.__getitem__)
                score = objectness * classes[best]
                if score > floor:
                    cx, cy = (dx + x) * stride, (dy + y) * stride
                    w, h = math.exp(log_w) * stride, math.exp(log_h) * stride
                    found.append([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, score, best])
    assert row == len(output)
    return found


@pytest.mark.parametrize("size", [(64, 64), (64, 96)])
def test_yolox_is_decoded_as_cell_by_cell(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    cells = sum((size[0] // stride) * (size[1] // stride) for stride in (8, 16, 32))
    output = rng.normal(0.5, 1, (cells, 8)).astype(np.float32)
    output[:, 4:] = rng.uniform(0, 1, (cells, 4))
    expected = naive_yolox(output, size, 0.3)
    assert 10 < len(expected) < cells
    assert yolox(output, 0.3, size) == pytest.approx(np.array(expected), rel=1e-5, abs=1e-4)


def test_yolox_that_is_decoded_already_gives_the_same() -> None:
    rng = np.random.default_rng(1)
    output = rng.normal(0.5, 0.3, (84, 7)).astype(np.float32)
    output[:, 4:] = rng.uniform(0.1, 1, (84, 3))
    rows = np.array(naive_yolox(output, (64, 64), 0.0))
    decoded = np.column_stack(((rows[:, :2] + rows[:, 2:4]) / 2, rows[:, 2:4] - rows[:, :2], output[:, 4:]))
    assert yolox(decoded.astype(np.float32), 0.2, (64, 64)) == pytest.approx(
        yolox(output, 0.2, (64, 64)), rel=1e-4, abs=1e-3
    )


def test_larger_yolox_networks_have_a_fourth_stride() -> None:
    output = np.zeros((85, 6), dtype=np.float32)
    output[84] = [0.5, 0.5, 0, 0, 1, 1]  # the one cell of stride 64
    assert yolox(output, 0.5, (64, 64)).tolist() == [[0, 0, 64, 64, 1, 0]]


def test_yolo_takes_the_best_class_of_each_cell() -> None:
    output = np.array([[10, 20, 4, 6, 0.3, 0.9], [50, 50, 2, 2, 0.05, 0.1]], dtype=np.float32).T
    assert yolo(output, 0.2) == pytest.approx(np.array([[8, 17, 12, 23, 0.9, 1]]))


def test_yolo_with_suppression_inside_is_read_as_rows() -> None:
    rows = np.array([[1, 2, 3, 4, 0.9, 0], [1, 2, 3, 4, 0.1, 0]], dtype=np.float32)
    assert yolo(rows, 0.5).tolist() == [rows[0].tolist()]


def test_query_of_a_transformer_gives_a_row_for_each_class_above_the_floor() -> None:
    found = detr(np.array([[0.5, 0.25, 0.5, 0.5]]), np.array([[0.9, 0.1, 0.6]]), 0.5, (100, 200))
    assert found == pytest.approx(np.array([[50, 0, 150, 50, 0.9, 0], [50, 0, 150, 50, 0.6, 2]]))


def test_cocos_own_numbers_become_the_usual_ones() -> None:
    """By hand, from COCO's list: 1 person, 13 stop sign, 44 bottle, 90 toothbrush; 12, 66 and 83 are nothing."""
    scores = np.zeros((1, 91))
    scores[0, [1, 13, 44, 90, 12, 66, 83]] = 1
    assert detr(np.ones((1, 4)), scores, 0.5, (1, 1))[:, 5].tolist() == [0, 11, 39, 79]


def test_three_layouts_of_rtdetr_say_the_same() -> None:
    """640 x 320 input, one box in the middle of a quarter of its sides, class 2 at 0.8."""
    read, size = HEADS["rtdetr"].read, (320, 640)
    logits = np.full((1, 2, 3), -9.0)
    logits[0, 0, 2] = math.log(0.8 / 0.2)
    boxes = np.array([[[0.5, 0.5, 0.25, 0.25], [0.1, 0.1, 0.1, 0.1]]])
    expected = pytest.approx(np.array([[240, 120, 400, 200, 0.8, 2]]))
    assert read({"logits": logits, "pred_boxes": boxes}, 0.5, size) == expected
    assert read({"output0": np.concatenate((boxes, 1 / (1 + np.exp(-logits))), axis=2)}, 0.5, size) == expected
    finished = {
        "labels": np.array([[2, 0]]),
        "boxes": np.array([[[240.0, 120, 400, 200], [0, 0, 9, 9]]]),
        "scores": np.array([[0.8, 0.1]]),
    }
    assert read(finished, 0.5, size) == expected


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ({"output": (1, 3549, 85)}, ["yolox"]),
        ({"output0": (1, 84, 3549)}, ["yolo"]),
        ({"output0": (1, 300, 6)}, ["yolo", "rtdetr"]),
        ({"output0": (1, 300, 84)}, ["rtdetr"]),
        ({"dets": (1, 300, 4), "labels": (1, 300, 91)}, ["rfdetr", "rtdetr"]),
        ({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)}, ["rtdetr", "rfdetr"]),
        ({"labels": (1, 300), "boxes": (1, 300, 4), "scores": (1, 300)}, ["rtdetr"]),
        ({"output0": (1, 10647, 85)}, []),  # YOLOv5 has three boxes in a cell
        ({"output0": (1, 116, 3549), "output1": (1, 32, 104, 104)}, []),
        ({"features": (1, 512)}, []),
    ],
)
def test_shapes_tell_the_kind(outputs: dict[str, tuple[int, ...]], expected: list[str]) -> None:
    assert kinds(outputs, (416, 416)) == expected
