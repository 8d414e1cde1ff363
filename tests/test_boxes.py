"""boxes.py against hand examples, naive loops and torchvision."""

from __future__ import annotations

import numpy as np
import pytest

from mot_reid import boxes

BOX = np.array([[10.0, 20.0, 30.0, 60.0]])


def random_boxes(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-50, 50, (count, 2))
    return np.hstack([corner, corner + rng.uniform(1, 60, (count, 2))])


@pytest.mark.parametrize(
    ("convert", "expected"),
    [
        (boxes.xyxy_to_tlwh, [10, 20, 20, 40]),
        (boxes.xyxy_to_cxcywh, [20, 40, 20, 40]),
    ],
)
def test_conversion_matches_the_hand_example(convert, expected):
    np.testing.assert_allclose(convert(BOX), [expected])


@pytest.mark.parametrize("name", ["tlwh", "cxcywh"])
def test_conversion_there_and_back_is_the_identity(name):
    given = random_boxes(1, 50)
    there, back = getattr(boxes, f"xyxy_to_{name}"), getattr(boxes, f"{name}_to_xyxy")
    np.testing.assert_allclose(back(there(given)), given, atol=1e-9)


@pytest.mark.parametrize("name", ["tlwh", "cxcywh"])
def test_conversion_leaves_its_input_alone(name):
    for direction in (f"xyxy_to_{name}", f"{name}_to_xyxy"):
        given = BOX.copy()
        getattr(boxes, direction)(given)
        np.testing.assert_array_equal(given, BOX)


def test_iou_matches_the_hand_example():
    first = [[0, 0, 10, 10], [0, 0, 4, 4]]
    second = [[5, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30]]
    np.testing.assert_allclose(boxes.iou(first, second), [[50 / 150, 1, 0], [0, 16 / 100, 0]])


def test_iou_matches_torchvision():
    torchvision_ops = pytest.importorskip("torchvision.ops")
    import torch

    first, second = random_boxes(2, 40), random_boxes(3, 30)
    expected = torchvision_ops.box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(boxes.iou(first, second), expected, atol=1e-12)


def test_iou_of_boxes_without_area_is_zero():
    point = [[5, 5, 5, 5]]
    np.testing.assert_array_equal(boxes.iou(point, point), [[0.0]])


@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (0, 3), (2, 0)])
def test_iou_of_no_boxes_keeps_its_shape(rows, columns):
    assert boxes.iou(np.zeros((rows, 4)), np.zeros((columns, 4))).shape == (rows, columns)


def test_area_is_width_times_height():
    np.testing.assert_allclose(boxes.area([[0, 0, 3, 4], [1, 1, 1, 9]]), [12, 0])


def test_clip_cuts_at_the_image_and_flattens_what_lies_outside():
    clipped = boxes.clip([[-5, -5, 5, 5], [90, 90, 200, 200], [300, 0, 400, 50]], 100, 80)
    np.testing.assert_array_equal(clipped, [[0, 0, 5, 5], [90, 80, 100, 80], [100, 0, 100, 50]])
