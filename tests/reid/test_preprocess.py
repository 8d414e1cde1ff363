"""Preprocessing against torchvision, and the rule for boxes that leave the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import normalize, resize

from mot_reid.reid.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess

MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def _batch(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(64, 32), (200, 160), (90, 120)])
def test_call_agrees_with_torchvision(image: np.ndarray, mode: str, size: tuple[int, int]) -> None:
    """Caught by this test: antialiasing off, mean without the 255, channels swapped, bicubic overshoot kept."""
    expected = resize(_batch(image).float(), list(size), interpolation=MODES[mode], antialias=True).clamp(0, 255) / 255
    expected = normalize(expected, list(IMAGENET_MEAN), list(IMAGENET_STD))
    torch.testing.assert_close(Preprocess(*size, mode)(_batch(image)), expected, rtol=1e-5, atol=1e-5)


def test_call_normalises_by_hand() -> None:
    pixel = torch.tensor([255, 0, 51], dtype=torch.uint8)[None, :, None, None]
    found = Preprocess(1, 1, mean=(0.5, 0.25, 0.2), std=(0.5, 0.5, 0.1))(pixel)
    torch.testing.assert_close(found.flatten(), torch.tensor([1.0, -0.5, 0.0]), rtol=0, atol=1e-6)


def test_call_gives_a_bgr_network_its_channels_reversed() -> None:
    images = torch.randint(0, 256, (2, 3, 8, 4), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    rgb, bgr = (Preprocess(8, 4, mean=mean, std=std, color=color)(images) for color in ("rgb", "bgr"))
    assert torch.equal(bgr, rgb[:, [2, 1, 0]])


def test_call_is_resize_then_normalise(image: np.ndarray) -> None:
    preprocess = Preprocess(64, 32)
    assert torch.equal(preprocess(_batch(image)), preprocess.normalise(preprocess.resize(_batch(image))))


def test_resize_keeps_pixels_as_they_are_when_sizes_agree(image: np.ndarray) -> None:
    assert torch.equal(Preprocess(90, 120).resize(_batch(image)), _batch(image).float())


def test_resize_stays_within_the_range_of_pixels_when_bicubic() -> None:
    step = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    step[..., 4:] = 255
    resized = Preprocess(32, 32, "bicubic").resize(step)
    assert resized.min() == 0
    assert resized.max() == 255


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_crop_of_the_whole_image_is_bit_for_bit_the_call(image: np.ndarray, mode: str, color: str) -> None:
    preprocess = Preprocess(64, 32, mode, color=color)
    assert torch.equal(preprocess.crops(image, np.array([[0, 0, 120, 90]])), preprocess(_batch(image)))


def test_crops_cut_each_box_on_its_own(image: np.ndarray) -> None:
    preprocess = Preprocess(32, 16)
    boxes = np.array([[10, 5, 50, 85], [60, 0, 120, 40], [3, 3, 4, 4]])
    for crop, (x1, y1, x2, y2) in zip(preprocess.crops(image, boxes), boxes, strict=True):
        assert torch.equal(crop, preprocess(_batch(image[y1:y2, x1:x2]))[0])


def test_crops_of_a_bgr_image_are_those_of_the_rgb_image(image: np.ndarray) -> None:
    boxes = np.array([[10, 5, 50, 85], [-90, 0, -10, 40]])
    preprocess = Preprocess(32, 16)
    assert torch.equal(preprocess.crops(image[:, :, ::-1], boxes, color="bgr"), preprocess.crops(image, boxes))


def test_crops_round_corners_to_the_nearest_pixel(image: np.ndarray) -> None:
    preprocess = Preprocess(32, 16)
    found = preprocess.crops(image, np.array([[9.6, 5.4, 50.4, 84.6]]))
    assert torch.equal(found, preprocess.crops(image, np.array([[10, 5, 50, 85]])))


def test_crops_take_the_part_of_a_box_inside_the_image(image: np.ndarray) -> None:
    preprocess = Preprocess(32, 16)
    found = preprocess.crops(image, np.array([[-30, 50, 20, 500]]))
    assert torch.equal(found, preprocess.crops(image, np.array([[0, 50, 20, 90]])))


@pytest.mark.parametrize("box", [[-50, 0, -10, 40], [120, 0, 200, 90], [5, 95, 50, 120], [10, 10, 10, 50]])
def test_crops_show_the_mean_colour_for_a_box_without_pixels(image: np.ndarray, box: list[int]) -> None:
    found = Preprocess(32, 16).crops(image, np.array([box]))
    torch.testing.assert_close(found, torch.zeros(1, 3, 32, 16), rtol=0, atol=1e-6)


def test_crops_are_none_for_no_boxes(image: np.ndarray) -> None:
    assert Preprocess(32, 16).crops(image, np.zeros((0, 4))).shape == (0, 3, 32, 16)


def test_crops_leave_the_image_as_it_was(image: np.ndarray) -> None:
    before = image.copy()
    Preprocess(32, 16).crops(image, np.array([[0, 0, 16, 32]]))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[0, 0, 1, np.nan]], "finite x1 <= x2 and y1 <= y2"),
        ([[0, 0, 5, 5], [9, 0, 5, 5]], "in row 1"),
        ([0, 0, 5, 5], r"xyxy: got shape \(4,\); expected \(N, 4\)"),
    ],
)
def test_crops_refuse_boxes_that_are_none(image: np.ndarray, boxes: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocess(32, 16).crops(image, np.array(boxes))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 3)),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((0, 9, 3), np.uint8),
        torch.zeros(9, 9, 3),
        None,
        "a.jpg",
    ],
)
def test_crops_refuse_images_that_are_none(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"image: got .*; expected (an array, )?uint8 \(H, W, 3\)"):
        Preprocess(32, 16).crops(wrong, np.array([[0, 0, 5, 5]]))


def test_crops_refuse_an_unknown_colour(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="color: got 'gray'; expected 'rgb' or 'bgr'"):
        Preprocess(32, 16).crops(image, np.array([[0, 0, 5, 5]]), color="gray")


def test_dict_round_trip_gives_the_same_preprocessing() -> None:
    preprocess = Preprocess(64, 32, "bicubic", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bgr")
    assert Preprocess.from_dict(preprocess.to_dict()) == preprocess


def test_from_dict_refuses_other_fields() -> None:
    with pytest.raises(ValueError, match="preprocess: got the fields"):
        Preprocess.from_dict({**Preprocess().to_dict(), "gamma": 2})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"height": 0}, "height: got 0; expected a whole number of pixels, at least 1"),
        ({"width": 64.0}, "width: got 64.0"),
        ({"interpolation": "nearest"}, "interpolation: got 'nearest'; expected 'bilinear' or 'bicubic'"),
        ({"std": (0.1, 0.0, 0.1)}, "three finite numbers above 0"),
        ({"mean": (0.1, 0.1)}, "mean: .* expected three finite numbers"),
        ({"color": "gray"}, "color: got 'gray'"),
    ],
)
def test_preprocess_refuses_values_out_of_range(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocess(**values)
