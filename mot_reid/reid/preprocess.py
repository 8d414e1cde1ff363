"""Preprocess: pixels to what the network takes; one class for training, validation and serving."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # what describes a network's input is read without torch, too
    from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Resizes and normalises RGB images.

    Attributes:
        height: Of the network's input, pixels.
        width: Of the network's input, pixels.
        interpolation: "bilinear" or "bicubic", both with antialiasing when the image shrinks.
        mean: Of each channel in RGB order, in units where white is 1.
        std: Of each channel in RGB order, in the same unit.
        color: Order of the channels the network takes, "rgb" or "bgr". The images given are always RGB.

    Raises:
        ValueError: If a value is out of its range.
    """

    height: int = 256
    width: int = 128
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    color: str = "rgb"

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: got {value!r}; expected a whole number of pixels, at least 1")
        for name, choices in (("interpolation", ("bilinear", "bicubic")), ("color", ("rgb", "bgr"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: got {getattr(self, name)!r}; expected '{choices[0]}' or '{choices[1]}'")
        for name in ("mean", "std"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != 3 or not np.isfinite(values).all() or (name == "std" and min(values) <= 0):
                rule = "three finite numbers" + (" above 0" if name == "std" else "")
                raise ValueError(f"{name}: got {getattr(self, name)!r}; expected {rule}")
            object.__setattr__(self, name, values)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    def __call__(self, images: Tensor) -> Tensor:
        """Maps (B, 3, h, w) uint8 RGB images to (B, 3, H, W) float32 network input on the same device."""
        return self.normalise(self.resize(images))

    def resize(self, images: Tensor) -> Tensor:
        """Maps (B, 3, h, w) uint8 or float images to (B, 3, H, W) float32 in [0, 255], unrounded."""
        from torch.nn.functional import interpolate

        images = images.float()
        if tuple(images.shape[-2:]) == self.size:
            return images
        # where nothing shrinks there is nothing to smooth, and the plain bilinear kernel is several times as quick;
        # torch's two bicubic kernels differ there
        shrinks = images.shape[-2] > self.height or images.shape[-1] > self.width
        images = interpolate(
            images, self.size, mode=self.interpolation, align_corners=False,
            antialias=shrinks or self.interpolation == "bicubic",
        )  # fmt: skip
        return images.clamp(0, 255) if self.interpolation == "bicubic" else images

    def normalise(self, images: Tensor) -> Tensor:
        """Maps (B, 3, H, W) float32 in [0, 255] to zero mean and unit deviation, in the network's channel order."""
        import torch

        # filled on the device: a list copied there would make the host wait
        mean, std = (
            torch.stack([images.new_full((1, 1), x) for x in values]).mul(255) for values in (self.mean, self.std)
        )
        images = (images - mean).div_(std)
        return images.flip(1) if self.color == "bgr" else images

    def crops(self, image: np.ndarray | Tensor, xyxy: np.ndarray, *, color: str = "rgb") -> Tensor:
        """Cuts boxes out of an image and preprocesses them.

        The box rule: corners are rounded to the nearest pixel; of a box partly outside, the part inside the image is
        taken; a box with no pixel inside the image is seen as a plain crop of the mean colour.

        Args:
            image: (H, W, 3) uint8, an array, or a tensor whose device the result shares.
            xyxy: (N, 4) boxes in pixels of the image.
            color: Order of the image's channels, "rgb" or "bgr".

        Returns:
            (N, 3, height, width) float32; for a box that is the whole image exactly what `__call__` gives.

        Raises:
            ValueError: If the colour is unknown, the image is empty or no (H, W, 3) uint8, or a box is not finite or
                reversed.
        """
        import torch

        check_pixels(image, color)
        # torch warns of arrays that cannot be written to, though nobody does.
        if isinstance(image, np.ndarray):
            image = torch.from_numpy(np.require(image, requirements=("C", "W")))
        corners = pixel_corners(xyxy, height=image.shape[0], width=image.shape[1])
        planes = image.permute(2, 0, 1)[None]
        mean = torch.tensor(self.mean[::-1] if color == "bgr" else self.mean, device=image.device)
        blank = mean.mul(255)[None, :, None, None].expand(1, 3, *self.size)
        crops = [
            self.resize(planes[:, :, y1:y2, x1:x2]) if x1 < x2 and y1 < y2 else blank for x1, y1, x2, y2 in corners
        ]
        batch = torch.cat(crops) if crops else blank[:0]
        return self.normalise(batch.flip(1) if color == "bgr" else batch)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocess:
        """Returns what `to_dict` described.

        Raises:
            ValueError: If a field is missing, unknown or out of range.
        """
        names = [field.name for field in fields(cls)]
        if set(values) != set(names):
            raise ValueError(f"preprocess: got the fields {sorted(values)}; expected {sorted(names)}")
        return cls(**values)


def check_pixels(image: object, color: str) -> None:
    """Refuses what crops cannot be cut out of.

    Args:
        image: a NumPy array or a tensor, (H, W, 3) uint8.
        color: order of its channels.

    Raises:
        ValueError: the colour is unknown, or the image is empty or of another kind.
    """
    if color not in ("rgb", "bgr"):
        raise ValueError(f"color: got {color!r}; expected 'rgb' or 'bgr'")
    tensor = any(kind.__module__ == "torch" and kind.__name__ == "Tensor" for kind in type(image).__mro__)
    if not (tensor or isinstance(image, np.ndarray)):
        raise ValueError(
            f"image: got {type(image).__name__}; expected an array, uint8 (H, W, 3); check that it was loaded"
        )
    shape, dtype = tuple(image.shape), str(image.dtype).removeprefix("torch.")  # type: ignore[attr-defined]
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != "uint8":
        raise ValueError(f"image: got {dtype} of shape {shape}; expected uint8 (H, W, 3)")


def pixel_corners(xyxy: np.ndarray, *, height: int, width: int) -> list[list[int]]:
    """Returns whole-pixel corners within the image; x1 >= x2 or y1 >= y2 where nothing of the box is inside.

    Args:
        xyxy: (N, 4) boxes.
        height: of the image in pixels.
        width: of the image in pixels.

    Raises:
        ValueError: a box is not finite or reversed.
    """
    boxes = np.asarray(xyxy, dtype=np.float64)
    if boxes.size == 0:
        return []
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"xyxy: got shape {boxes.shape}; expected (N, 4)")
    wrong = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"xyxy: got {boxes[row].tolist()} in row {row}; expected finite x1 <= x2 and y1 <= y2")
    return np.rint(boxes).clip(0, [width, height, width, height]).astype(np.int64).tolist()
