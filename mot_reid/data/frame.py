"""One picture of a video, wherever it comes from."""

from __future__ import annotations

from typing import NamedTuple

from mot_reid.arrays import Image


class Frame(NamedTuple):
    """One picture of a video.

    Attributes:
        number: From 1; broken and lost frames keep their number, so that numbers agree with a ground truth.
        time_seconds: Since the first frame.
        image: (H, W, 3) uint8 BGR.
    """

    number: int
    time_seconds: float
    image: Image


class BrokenFrameError(Exception):
    """A frame that cannot be decoded; the next one may."""
