"""An image fitted into a network's input with grey around it, and boxes brought back."""

from __future__ import annotations

import numpy as np

from mot_reid.arrays import FloatArray, Image
from mot_reid.boxes import clip

_GREY = 114


def letterbox(image: Image, size: tuple[int, int], *, out: Image | None = None, corner: bool = False) -> Image:
    """Returns the image enlarged or shrunk to fit into `size`, with grey around it.

    Args:
        image: (H, W, 3) uint8.
        size: height and width of the result.
        out: where the result is written, instead of an array of its own.
        corner: whether the image lies at the top left, as YOLOX has it, instead of in the middle.

    Reference:
        Ultralytics' LetterBox and YOLOX' preproc, whose rounding this follows to the pixel.
    """
    import cv2

    boxed = np.empty((*size, 3), dtype=np.uint8) if out is None else out
    wide, tall, left, top = _placed(image.shape[1], image.shape[0], size, corner=corner)
    inner = boxed[top : top + tall, left : left + wide]
    if (wide, tall) != (image.shape[1], image.shape[0]):
        cv2.resize(image, (wide, tall), dst=inner, interpolation=cv2.INTER_LINEAR)
    else:
        inner[...] = image
    boxed[:top], boxed[top + tall :] = _GREY, _GREY
    boxed[:, :left], boxed[:, left + wide :] = _GREY, _GREY
    return boxed


def unletterbox(
    xyxy: FloatArray, size: tuple[int, int], width: int, height: int, *, corner: bool = False
) -> FloatArray:
    """Returns boxes in pixels of the image instead of its letterbox, cut at the image's border.

    Args:
        xyxy: (N, 4) in pixels of the letterbox.
        size: height and width of the letterbox.
        width: of the image.
        height: of the image.
        corner: as in `letterbox`.
    """
    wide, tall, left, top = _placed(width, height, size, corner=corner)
    scale = np.array([wide / width, tall / height] * 2)
    return clip((xyxy - [left, top, left, top]) / scale, width, height)


def _placed(width: int, height: int, size: tuple[int, int], *, corner: bool) -> tuple[int, int, int, int]:
    """Returns width, height, left and top of an image within its letterbox."""
    scale = min(size[0] / height, size[1] / width)
    if corner:
        return max(int(width * scale), 1), max(int(height * scale), 1), 0, 0
    wide, tall = max(round(width * scale), 1), max(round(height * scale), 1)
    return wide, tall, round((size[1] - wide) / 2 - 0.1), round((size[0] - tall) / 2 - 0.1)
