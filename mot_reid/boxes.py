"""Box algebra on `(N, 4)` arrays: conversions, area, clip, IoU.

Boxes are pixels, origin top-left, y down, and `x2`, `y2` are exclusive, so width is `x2 - x1` without a `+ 1`. The
formats: `xyxy` two corners; `tlwh` top-left corner and size; `cxcywh` centre and size. Every function takes `(..., 4)`
and returns a new float64 array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mot_reid.arrays import FloatArray


def xyxy_to_tlwh(xyxy: ArrayLike) -> FloatArray:
    """Returns `(..., 4)` top-left x, top-left y, width, height in pixels."""
    out = np.array(xyxy, dtype=np.float64)
    out[..., 2:] -= out[..., :2]
    return out


def tlwh_to_xyxy(tlwh: ArrayLike) -> FloatArray:
    """Returns `(..., 4)` corners in pixels; the inverse of `xyxy_to_tlwh`."""
    out = np.array(tlwh, dtype=np.float64)
    out[..., 2:] += out[..., :2]
    return out


def xyxy_to_cxcywh(xyxy: ArrayLike) -> FloatArray:
    """Returns `(..., 4)` centre x, centre y, width, height in pixels."""
    out = xyxy_to_tlwh(xyxy)
    out[..., :2] += out[..., 2:] / 2
    return out


def cxcywh_to_xyxy(cxcywh: ArrayLike) -> FloatArray:
    """Returns `(..., 4)` corners in pixels; the inverse of `xyxy_to_cxcywh`."""
    out = np.array(cxcywh, dtype=np.float64)
    out[..., :2] -= out[..., 2:] / 2
    out[..., 2:] += out[..., :2]
    return out


def area(xyxy: ArrayLike) -> FloatArray:
    """Returns `(...,)` areas in square pixels; zero for a box without extent."""
    box = np.asarray(xyxy, dtype=np.float64)
    return np.maximum(box[..., 2] - box[..., 0], 0) * np.maximum(box[..., 3] - box[..., 1], 0)


def clip(xyxy: ArrayLike, width: float, height: float) -> FloatArray:
    """Returns the boxes cut at an image of `width` x `height` pixels; a box outside keeps zero extent at the border."""
    return np.clip(np.asarray(xyxy, dtype=np.float64), 0, np.array([width, height, width, height], dtype=np.float64))


def iou(first: ArrayLike, second: ArrayLike) -> FloatArray:
    """Returns the `(M, N)` intersection over union of two sets of boxes.

    Args:
        first: `(M, 4)` xyxy in pixels.
        second: `(N, 4)` xyxy in pixels.

    Returns:
        `(M, N)` in [0, 1]; a pair whose union is empty scores 0.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    a, b = a.reshape(-1, 4), b.reshape(-1, 4)
    ax1, ay1, ax2, ay2 = a.T[:, :, None]
    bx1, by1, bx2, by2 = b.T
    # In place where possible: at 500 x 500 the time is the memory traffic of the temporaries.
    overlap = np.minimum(ax2, bx2)
    overlap -= np.maximum(ax1, bx1)
    tall = np.minimum(ay2, by2)
    tall -= np.maximum(ay1, by1)
    np.maximum(overlap, 0, out=overlap)
    np.maximum(tall, 0, out=tall)
    overlap *= tall
    union = np.add((ax2 - ax1) * (ay2 - ay1), (bx2 - bx1) * (by2 - by1), out=tall)
    union -= overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)
