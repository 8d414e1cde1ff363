"""Views against a loop over pixels, and that they are the same whenever they are drawn."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional as vision

from mot_reid.training.views import COLOUR, SHIFT, ZOOM, View, coarsen, draw_view, window


def pictures(count: int = 4, height: int = 12, width: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(256, (count, 3, height, width), generator=generator, dtype=torch.uint8)


def sampled(image: Tensor, y: float, x: float) -> Tensor:
    """The bilinear value at (y, x), pixel centres at halves, the edge repeated."""
    height, width = image.shape[1:]
    y, x = min(max(y - 0.5, 0.0), height - 1.0), min(max(x - 0.5, 0.0), width - 1.0)
    top, left = min(int(y), height - 2), min(int(x), width - 2)
    dy, dx = y - top, x - left
    return (
        (1 - dy) * (1 - dx) * image[:, top, left]
        + (1 - dy) * dx * image[:, top, left + 1]
        + dy * (1 - dx) * image[:, top + 1, left]
        + dy * dx * image[:, top + 1, left + 1]
    )


def test_window_equals_the_loop_over_pixels() -> None:
    images = pictures().float()
    box = torch.tensor([[0.1, 0.0, 0.9, 0.8], [-0.1, -0.2, 1.05, 1.1], [0.0, 0.0, 1.0, 1.0], [0.2, 0.2, 1.2, 1.1]])
    flip = torch.tensor([False, True, True, False])
    found = window(images, box, flip)
    for n in range(4):
        left, top, right, bottom = box[n].tolist()
        for i in range(12):
            for j in range(6):
                across = (j + 0.5) / 6
                across = 1 - across if flip[n] else across
                y, x = (top + (bottom - top) * (i + 0.5) / 12) * 12, (left + (right - left) * across) * 6
                torch.testing.assert_close(found[n, :, i, j], sampled(images[n], y, x), rtol=0, atol=0.02)


def test_whole_window_is_the_image_itself() -> None:
    images = pictures().float()
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(4, 4)
    torch.testing.assert_close(window(images, whole, torch.zeros(4, dtype=torch.bool)), images, rtol=0, atol=1e-3)
    mirrored = window(images, whole, torch.ones(4, dtype=torch.bool))
    torch.testing.assert_close(mirrored, images.flip(-1), rtol=0, atol=1e-3)


def test_coarse_images_are_those_of_torchvision_reduced_and_enlarged() -> None:
    images = pictures().float()
    found = coarsen(images, torch.tensor([1.0, 0.5, 0.5, 1.0]))
    small = vision.resize(images, [6, 3], antialias=True)
    expected = vision.resize(small, [12, 6], antialias=True)
    torch.testing.assert_close(found[1:3], expected[1:3])
    assert torch.equal(found[[0, 3]], images[[0, 3]])


def test_view_zero_is_the_crop_and_others_differ_from_it_and_each_other() -> None:
    images = pictures()
    assert torch.equal(draw_view(4, 0)(images), images)
    first, second = draw_view(4, 1)(images), draw_view(4, 2)(images)
    assert first.dtype == torch.uint8
    assert not torch.equal(first, images) and not torch.equal(first, second)


def test_view_is_the_same_whenever_it_is_drawn_and_for_any_part_of_the_crops() -> None:
    images = pictures()
    view = draw_view(4, 3)
    together = view(images)
    assert torch.equal(draw_view(4, 3)(images), together)
    rows = torch.tensor([2, 0])
    assert torch.equal(view[rows](images[rows]), together[rows])


def test_drawn_numbers_stay_in_their_ranges() -> None:
    view = draw_view(4000, 5)
    side, centre = view.box[:, 2:] - view.box[:, :2], (view.box[:, 2:] + view.box[:, :2]) / 2
    assert ZOOM[0] - 1e-5 <= side.min() and side.max() <= ZOOM[1] + 1e-5
    assert (centre - 0.5).abs().max() <= SHIFT + 1e-5
    assert (view.colour[:, :2] - 1).abs().max() <= COLOUR
    grey = view.colour[:, 2] == 0
    assert 0.07 < grey.float().mean() < 0.13
    assert 0.45 < view.flip.float().mean() < 0.55
    assert 0.45 < (view.detail == 1).float().mean() < 0.55


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_grey_view_has_no_colour(factor: float) -> None:
    view = draw_view(1, 0)
    changed = View(view.flip, view.box, torch.tensor([[1.0, 1.0, factor]]), view.detail)(pictures(1))
    spread = (changed.float().amax(1) - changed.float().amin(1)).max()
    assert (spread == 0) is (factor == 0.0) or bool(spread > 0) is (factor > 0)
