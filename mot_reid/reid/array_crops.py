"""Preprocessing without torch: what `Preprocess` gives, computed by NumPy, for networks that another runtime runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.reid.preprocess import Preprocess, check_pixels, pixel_corners

_SIZES = 1024  # of crops, whose weights are kept


def crops(preprocess: Preprocess, image: Image, xyxy: FloatArray, *, color: str = "rgb") -> Float32Array:
    """Cuts boxes out of an image and preprocesses them, by the rule of `Preprocess.crops`.

    Args:
        preprocess: size, interpolation and colours of the network's input.
        image: (H, W, 3) uint8.
        xyxy: (N, 4) boxes in pixels of the image.
        color: order of the image's channels, "rgb" or "bgr".

    Returns:
        (N, 3, height, width) float32.

    Raises:
        ValueError: as `Preprocess.crops`.
    """
    check_pixels(image, color)
    corners = pixel_corners(xyxy, height=image.shape[0], width=image.shape[1])
    mean = np.array(preprocess.mean, dtype=np.float32) * 255
    blank = np.broadcast_to(mean[:, None, None], (3, *preprocess.size))
    found = np.empty((len(corners), 3, *preprocess.size), dtype=np.float32)
    for row, (x1, y1, x2, y2) in enumerate(corners):
        inside = x1 < x2 and y1 < y2
        cut = image[y1:y2, x1:x2, ::-1] if color == "bgr" else image[y1:y2, x1:x2]
        found[row] = resize(cut, preprocess) if inside else blank
    return _normalise(found, preprocess)


def prepare(preprocess: Preprocess, pictures: Sequence[Image]) -> Float32Array:
    """Returns the (N, 3, height, width) float32 input for whole RGB pictures of any size."""
    found = np.empty((len(pictures), 3, *preprocess.size), dtype=np.float32)
    for row, picture in enumerate(pictures):
        found[row] = resize(picture, preprocess)
    return _normalise(found, preprocess)


def resize(picture: Image, preprocess: Preprocess) -> Float32Array:
    """Returns (3, height, width) float32 in [0, 255] of an (h, w, 3) uint8 RGB picture."""
    planes = picture.transpose(2, 0, 1).astype(np.float32, order="C")
    if planes.shape[1:] == preprocess.size:
        return planes
    rows = _weights(planes.shape[1], preprocess.height, preprocess.interpolation)
    columns = _weights(planes.shape[2], preprocess.width, preprocess.interpolation)
    found = rows @ planes @ columns.T
    return found.clip(0, 255) if preprocess.interpolation == "bicubic" else found


@lru_cache(_SIZES)
def _weights(given: int, wanted: int, interpolation: str) -> Float32Array:
    """Returns what each pixel of a line contributes to each new one, (wanted, given), antialiased where it shrinks."""
    scale = given / wanted
    centre = (np.arange(wanted) + 0.5) * scale
    distance = np.abs(np.arange(given) + 0.5 - centre[:, None]) / max(scale, 1)
    weights = np.maximum(1 - distance, 0) if interpolation == "bilinear" else _cubic(distance)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _cubic(x: FloatArray) -> FloatArray:
    """Returns Keys' kernel with a = -0.5, which antialiasing resizers use, at distances."""
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _normalise(planes: Float32Array, preprocess: Preprocess) -> Float32Array:
    """Returns planes of zero mean and unit deviation in the network's order of channels; works in place."""
    for values, work in ((preprocess.mean, np.subtract), (preprocess.std, np.divide)):
        work(planes, np.array(values, dtype=np.float32)[:, None, None] * 255, out=planes)
    return np.ascontiguousarray(planes[:, ::-1]) if preprocess.color == "bgr" else planes
