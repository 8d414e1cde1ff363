"""Views: augmented pictures of the training crops that a teacher has embedded, and that its student sees again.

View v of a set of crops is the same whenever it is drawn: its numbers come from v alone. View 0 is the crop as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mot_reid.training.augment import change_brightness, change_contrast, change_saturation

SHIFT = 0.08
"""The most a view's centre moves, as a share of the crop's height and width."""
ZOOM = (0.8, 1.12)
"""Height and width of a view, as a share of the crop's."""
COLOUR = 0.3
"""Brightness, contrast and saturation are multiplied by U(1 - COLOUR, 1 + COLOUR)."""
GREY = 0.1
"""Share of views without colour."""
COARSE = (1.0, 1.0, 0.5, 0.35)
"""Resolutions a view is reduced to, one of them each with equal chance."""


@dataclass(frozen=True, slots=True)
class View:
    """How N crops are changed; one row each.

    Attributes:
        flip: (N,) bool, mirrored left to right.
        box: (N, 4) float32 left, top, right, bottom of what is seen, as shares of the crop; outside, its edge repeats.
        colour: (N, 3) float32 factors of brightness, contrast and saturation.
        detail: (N,) float32 resolution, relative to the crop's.
    """

    flip: Tensor
    box: Tensor
    colour: Tensor
    detail: Tensor

    def __getitem__(self, rows: Tensor) -> View:
        """Returns the view of some crops."""
        return View(self.flip[rows], self.box[rows], self.colour[rows], self.detail[rows])

    def __call__(self, images: Tensor) -> Tensor:
        """Maps (N, 3, h, w) images, values in [0, 255], to (N, 3, h, w) uint8."""
        images = window(images.float(), self.box, self.flip) / 255
        images = coarsen(images, self.detail)
        for factor, change in zip(self.colour.T, (change_brightness, change_contrast, change_saturation)):
            images = change(images, factor)
        return (images * 255).round_().to(torch.uint8)


def draw_view(count: int, number: int) -> View:
    """Returns view `number` of `count` crops.

    Args:
        count: N crops.
        number: from 0, the crops as they are.
    """
    if number == 0:
        whole = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(count, 4)
        return View(torch.zeros(count, dtype=torch.bool), whole, torch.ones(count, 3), torch.ones(count))
    generator = torch.Generator().manual_seed(number)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    flip = torch.rand(count, generator=generator) < 0.5
    centre, side = 0.5 + uniform(-SHIFT, SHIFT, count, 2), uniform(*ZOOM, count, 2)
    colour = uniform(1 - COLOUR, 1 + COLOUR, count, 3)
    colour[:, 2] *= torch.rand(count, generator=generator) >= GREY
    detail = torch.tensor(COARSE)[torch.randint(len(COARSE), (count,), generator=generator)]
    return View(flip, torch.cat([centre - side / 2, centre + side / 2], 1), colour, detail)


def window(images: Tensor, box: Tensor, flip: Tensor) -> Tensor:
    """Returns (N, 3, h, w) images that show what is inside their boxes, some mirrored; outside, the edge repeats.

    Args:
        images: (N, 3, h, w) float.
        box: (N, 4) left, top, right, bottom as shares of the image.
        flip: (N,) bool.
    """
    left, top, right, bottom = box.T
    left, right = torch.where(flip, right, left), torch.where(flip, left, right)
    zeros = torch.zeros_like(left)
    theta = torch.stack([right - left, zeros, left + right - 1, zeros, bottom - top, top + bottom - 1], 1)
    grid = F.affine_grid(theta.view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def coarsen(images: Tensor, detail: Tensor) -> Tensor:
    """Returns (N, 3, h, w) images reduced to `detail` (N,), a share of their resolution, and enlarged again."""
    images = images.clone()
    height, width = images.shape[2:]
    for level in detail.unique().tolist():
        if level < 1:
            rows = detail == level
            small = max(round(height * level), 1), max(round(width * level), 1)
            reduced = F.interpolate(images[rows], small, mode="bilinear", antialias=True, align_corners=False)
            images[rows] = F.interpolate(reduced, (height, width), mode="bilinear", align_corners=False)
    return images
