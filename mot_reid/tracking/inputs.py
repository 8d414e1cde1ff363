"""What a frame lacks, or cannot be right about: said once for each tracker, and refused where no work is lost by it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mot_reid.arrays import BoolArray
from mot_reid.tracking.matching import Boxes
from mot_reid.tracking.presets import Preset


class InputCheck:
    """Looks at the input of one tracker: whether what its preset needs is there, and of the same scale.

    Args:
        preset: of the tracker.
        embedder: whether the tracker computes embeddings itself.
    """

    def __init__(self, preset: Preset, *, embedder: bool) -> None:
        self._preset, self._embedder = preset, embedder
        self._first = True
        self._scale_told = False

    def look(self, boxes: Boxes, image: Any) -> BoolArray | None:
        """Returns which boxes lie outside of the image and show nobody; `None` where that cannot be said, or none do.

        Raises:
            ValueError: if at least half of the boxes of the first frame that has any lie outside, or all of them are
                fractions of the image.
        """
        if not len(boxes.score):
            return None
        outside = None
        if isinstance(image, np.ndarray) and image.ndim >= 2:
            height, width = image.shape[:2]
            x1, y1, x2, y2 = boxes.xyxy
            outside = (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height)
            if self._first and boxes.xyxy.max() <= 1 < min(width, height):
                raise ValueError(
                    f"detections: got boxes as fractions of the image, such as {_spell(boxes, 0)}; expected pixels; "
                    f"multiply x by {width} and y by {height} (of an Ultralytics result, take xyxy instead of xyxyn)"
                )
            if outside.any():
                self._tell_scale(boxes, outside, width=width, height=height)
            else:
                outside = None
        if self._first:
            self._tell_missing(boxes, image)
            self._first = False
        return outside

    def _tell_scale(self, boxes: Boxes, outside: BoolArray, *, width: int, height: int) -> None:
        text = (
            f"detections: got {outside.sum()} of {len(outside)} boxes outside of the image of {width} x {height}, such "
            f"as {_spell(boxes, int(outside.argmax()))}; expected boxes in pixels of this image; check that both have "
            "one size"
        )
        if self._first and 2 * outside.sum() >= len(outside):
            raise ValueError(text)
        if not self._scale_told:
            self._scale_told = True
            warnings.warn(f"{text}; such boxes are tracked by motion alone", stacklevel=4)

    def _tell_missing(self, boxes: Boxes, image: Any) -> None:
        """Warns of what the preset would have used: without it, the tracker is another one."""
        name, look = self._preset.name, self._preset.appearance
        if look is not None and not look.optional and not self._embedder and boxes.embedding is None:
            warnings.warn(
                f"preset '{name}': got no embeddings; expected Tracker(..., reid=MODEL), or detections with an "
                "embedding; without them appearance is not used, and nobody is recognised",
                stacklevel=4,
            )
        if self._preset.camera != "none" and image is None:
            warnings.warn(
                f"preset '{name}': got no image; expected update(detections, image) to estimate camera motion "
                f"('{self._preset.camera}'); pass images, or camera='none'",
                stacklevel=4,
            )


def _spell(boxes: Boxes, column: int) -> str:
    return ", ".join(f"{value:g}" for value in boxes.xyxy[:, column])
