"""Augmentation of a whole batch on its device: every image its own draw, no loop over images, no wait for the host.

In four steps, because recipes put others between them: `mirror` | resizing | `move`, which are quick on bytes,
`recolour` on images in [0, 1] | normalisation | `erase`. Draws and their application are separate functions, each to be
checked alone. Random numbers come from the generator given, which lives on the images' device.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Fill = Literal["bot", "mean", "random"]

LUMA = (0.2989, 0.587, 0.114)
BOT_FILL = (0.485, 0.456, 0.406)
ZOOM = 1.125


class BatchAugment:
    """The augmentation of Re-ID training. The defaults are BoT's; a probability or strength of 0 leaves a step out.

    Order: flip, zoom, padded crop, colour jitter, grayscale | normalisation, elsewhere | erasing.
    """

    def __init__(
        self,
        *,
        flip: float = 0.5,
        pad: int = 10,
        zoom: float = 0.0,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        grayscale: float = 0.0,
        erase: float = 0.5,
        erase_area: tuple[float, float] = (0.02, 0.4),
        erase_aspect: tuple[float, float] = (0.3, 1 / 0.3),
        erase_attempts: int = 100,
        erase_fill: Fill = "bot",
    ) -> None:
        """Keeps the settings.

        Args:
            flip: probability of a horizontal flip.
            pad: black pixels added on each side before cropping back to size at a random place.
            zoom: probability of torchreid's random crop: enlarge by 1.125 (bilinear), crop back at a random place.
            brightness: factors drawn from U(1 - x, 1 + x), not below 0; the same for contrast and saturation.
            contrast: see brightness.
            saturation: see brightness.
            grayscale: probability of replacing all three channels by the luma.
            erase: probability of erasing a rectangle.
            erase_area: range of its area as a fraction of the image.
            erase_aspect: range of its height / width, drawn uniformly.
            erase_attempts: rectangles drawn before giving up finding one that fits.
            erase_fill: "bot" writes (0.485, 0.456, 0.406) into the normalised image, as BoT's code does; "mean" is 0,
                the exact mean; "random" is standard normal noise per pixel and channel (timm's "pixel").

        Raises:
            ValueError: a setting out of its range.
        """
        for name, value in (("flip", flip), ("zoom", zoom), ("grayscale", grayscale), ("erase", erase)):
            if not 0 <= value <= 1:
                raise ValueError(f"augment.{name}: got {value}; expected a probability from 0 to 1")
        for name, value in (
            ("brightness", brightness),
            ("contrast", contrast),
            ("saturation", saturation),
            ("pad", pad),
        ):
            if value < 0:
                raise ValueError(f"augment.{name}: got {value}; expected 0 (none) or more")
        for name, (low, high), most in (
            ("erase_area", erase_area, 1.0),
            ("erase_aspect", erase_aspect, float("inf")),
        ):
            if not 0 < low <= high <= most:
                raise ValueError(f"augment.{name}: got ({low}, {high}); expected 0 < low <= high <= {most}")
        if erase_fill not in ("bot", "mean", "random"):
            raise ValueError(f"augment.erase_fill: got {erase_fill!r}; expected 'bot', 'mean' or 'random'")
        if erase_attempts < 1:
            raise ValueError(f"augment.erase_attempts: got {erase_attempts}; expected at least 1")
        self.flip, self.pad, self.zoom = flip, pad, zoom
        self.brightness, self.contrast, self.saturation, self.grayscale = brightness, contrast, saturation, grayscale
        self.erase_probability, self.erase_area, self.erase_aspect = erase, erase_area, erase_aspect
        self.erase_attempts, self.erase_fill = erase_attempts, erase_fill

    def calmed(self) -> BatchAugment:
        """Returns the augmentation for the end of a training: flips and shifts only, no zoom, colour change, erasing.

        Towards the end a network gains from images as they are at test time; what only makes it harder is left out.
        """
        return BatchAugment(flip=self.flip, pad=self.pad, erase=0.0)

    def mirror(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Returns images (B, 3, h, w) of any type and size, some flipped; before resizing there is least to flip."""
        return flip_where(images, _draw(len(images), generator, images.device) < self.flip) if self.flip else images

    def move(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Returns images (B, 3, H, W) zoomed and shifted; uint8 stays so, which is quick, unless zoomed."""
        count, _, height, width = images.shape
        device = images.device
        if self.zoom:
            images = images if images.is_floating_point() else images.float()
            larger = round(height * ZOOM), round(width * ZOOM)
            top = draw_integers(count, larger[0] - height + 1, generator=generator, device=device)
            left = draw_integers(count, larger[1] - width + 1, generator=generator, device=device)
            zoomed = _draw(count, generator, device) < self.zoom
            images = torch.where(zoomed[:, None, None, None], zoom_crop(images, top, left), images)
        if self.pad:
            top = draw_integers(count, 2 * self.pad + 1, generator=generator, device=device)
            left = draw_integers(count, 2 * self.pad + 1, generator=generator, device=device)
            images = shift_crop(images, top, left, pad=self.pad)
        return images

    @property
    def recolours(self) -> bool:
        """Whether `recolour` does anything."""
        return any((self.brightness, self.contrast, self.saturation, self.grayscale))

    def recolour(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Returns images (B, 3, H, W) in [0, 1] of other brightness, contrast, colour; the input when all is off."""
        count, device = len(images), images.device
        for strength, change in (
            (self.brightness, change_brightness),
            (self.contrast, change_contrast),
            (self.saturation, change_saturation),
        ):
            if strength:
                low = max(0.0, 1 - strength)
                factor = low + (1 + strength - low) * _draw(count, generator, device)
                images = change(images, factor)
        if self.grayscale:
            chosen = _draw(count, generator, device) < self.grayscale
            images = change_saturation(images, (~chosen).to(images.dtype))
        return images

    def erase(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Returns normalised images (B, 3, H, W) with at most one rectangle erased in each; the input when off."""
        if not self.erase_probability:
            return images
        boxes = draw_erasures(
            images.shape[0],
            *images.shape[2:],
            probability=self.erase_probability,
            area=self.erase_area,
            aspect=self.erase_aspect,
            attempts=self.erase_attempts,
            generator=generator,
            device=images.device,
        )
        if self.erase_fill == "random":
            noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=torch.float32)
            return erase_boxes(images, boxes, fill=noise.to(images.dtype))
        # filled on the device: a list copied there would make the host wait
        values = [images.new_full((1, 1), value if self.erase_fill == "bot" else 0.0) for value in BOT_FILL]
        return erase_boxes(images, boxes, fill=torch.stack(values))


def flip_where(images: Tensor, flipped: Tensor) -> Tensor:
    """Returns images (B, C, H, W) with those where flipped (B,) is True mirrored left to right."""
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)


def shift_crop(images: Tensor, top: Tensor, left: Tensor, *, pad: int) -> Tensor:
    """Returns images (B, C, H, W) padded by black pixels and cropped back at (top, left), (B,) int64 in [0, 2 pad]."""
    return _windows(F.pad(images, (pad, pad, pad, pad)), top, left, size=(images.shape[2], images.shape[3]))


def zoom_crop(images: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Returns images (B, C, H, W) enlarged by 1.125 (bilinear) and cropped back at (top, left), (B,) int64.

    Reference:
        torchreid's Random2DTranslation, which enlarges from the file's size; here it starts at the network's size.
    """
    height, width = images.shape[2:]
    larger = F.interpolate(images, (round(height * ZOOM), round(width * ZOOM)), mode="bilinear", align_corners=False)
    return _windows(larger, top, left, size=(height, width))


def change_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Returns images (B, 3, H, W) in [0, 1] times factor (B,), clipped to [0, 1]."""
    return (images * factor[:, None, None, None].to(images.dtype)).clamp(0, 1)


def change_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Returns images (B, 3, H, W) in [0, 1] spread by factor (B,) about their mean luma, clipped to [0, 1]."""
    return _blend(_luma(images).mean((1, 2, 3), keepdim=True), images, factor)


def change_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Returns images (B, 3, H, W) in [0, 1] spread by factor (B,) about each pixel's luma, clipped to [0, 1]."""
    return _blend(_luma(images), images, factor)


def draw_erasures(
    count: int,
    height: int,
    width: int,
    *,
    probability: float,
    area: tuple[float, float],
    aspect: tuple[float, float],
    attempts: int,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Returns (count, 4) int64 rectangles: top, left, height, width in pixels; all zero where nothing is erased.

    Every image draws all its attempts and takes the first that is smaller than the image in both directions, which is
    the distribution of BoT's loop.

    Reference:
        Zhong et al., "Random Erasing Data Augmentation", AAAI 2020, algorithm 1; numbers of BoT's RandomErasing.
    """
    draws = torch.rand(2, count, attempts, generator=generator, device=device)
    pixels = (area[0] + (area[1] - area[0]) * draws[0]) * (height * width)
    ratio = aspect[0] + (aspect[1] - aspect[0]) * draws[1]
    tall, wide = (pixels * ratio).sqrt().round(), (pixels / ratio).sqrt().round()
    fits = (tall < height) & (wide < width)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    box_height, box_width = tall.gather(1, first)[:, 0], wide.gather(1, first)[:, 0]
    chance, y, x = torch.rand(3, count, generator=generator, device=device)
    spare_height, spare_width = height - box_height, width - box_width
    top, left = (y * (spare_height + 1)).floor(), (x * (spare_width + 1)).floor()
    # the product can be rounded up to the bound
    top, left = torch.minimum(top, spare_height), torch.minimum(left, spare_width)
    erased = fits.any(1) & (chance < probability)
    return torch.stack([top, left, box_height, box_width], 1).masked_fill(~erased[:, None], 0.0).long()


def erase_boxes(images: Tensor, boxes: Tensor, *, fill: Tensor) -> Tensor:
    """Returns images (B, C, H, W) with boxes (B, 4) (top, left, height, width; zeros: none) replaced by fill.

    Args:
        images: finite values.
        boxes: integers, inside the image.
        fill: broadcast to the images, of their type.
    """
    top, left, tall, wide = boxes.T[:, :, None]
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    inside_rows = (rows >= top) & (rows < top + tall)
    inside_columns = (columns >= left) & (columns < left + wide)
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    # lerp with weights 0 and 1 selects exactly and is many times faster on a CPU than a broadcast `where`
    return torch.lerp(images, fill.expand_as(images), inside.to(images.dtype))


def draw_integers(count: int, bound: int, *, generator: torch.Generator, device: torch.device) -> Tensor:
    """Returns (count,) int64 uniform in [0, bound)."""
    return torch.randint(bound, (count,), generator=generator, device=device)


def _draw(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.rand(count, generator=generator, device=device)


def _windows(images: Tensor, top: Tensor, left: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Returns the window of `size` of each image (B, C, h, w) at its own (top, left), copied row by row."""
    windows = images.unfold(2, size[0], 1).unfold(3, size[1], 1)
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def _luma(images: Tensor) -> Tensor:
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def _blend(grey: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(grey.expand_as(images), images, factor[:, None, None, None].to(images.dtype)).clamp(0, 1)
