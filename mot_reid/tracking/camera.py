"""How the camera moved between two frames: a rotation, a uniform scale and a shift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mot_reid.arrays import FloatArray, Image
from mot_reid.settings.tracker_parameters import CameraMethod

_CORNERS = 400
_FEWEST = 8
# A picture with a shorter side (pixels, shrunk) has no corners to follow.
_SMALLEST = 16
# No camera zooms by more from one frame to the next.
_MOST_ZOOM = 2.0
# Frames are shrunk by a whole number so that the longer side is near this: the motion is that of the background, and
# a third of a pixel is enough for gating boxes.
_LONG_SIDE = 640


class CameraMotion:
    """Estimates the motion from one frame to the next; remembers the previous frame only.

    Reference:
        The global motion compensation of BoT-SORT (Aharon et al., 2022, section 3.2). Here fewer corners are tracked
        (400 instead of 1,000), which ultralytics measured to halve the time without a change of result.
    """

    def __init__(self, method: CameraMethod) -> None:
        self.method = method
        self.previous: Image | None = None

    def estimate(self, image: Image, boxes: FloatArray | None = None) -> tuple[FloatArray, Image]:
        """Returns the motion from the previous frame and the shrunk frame to `remember`; changes nothing.

        Args:
            image: `(H, W, 3)` or `(H, W)` uint8; the order of the colours does not matter.
            boxes: `(n, 4)` xyxy of people, whose own movement is left out of the estimate.

        Returns:
            `(2, 3)` transform of points of the previous frame to this one, in pixels of the full frame; the identity
            for the first frame, after a change of the frame size, and where too little is seen to say.

        Raises:
            ValueError: if the image is empty or of another shape or type.
        """
        import cv2

        if not isinstance(image, np.ndarray):
            raise ValueError(f"image: got {type(image).__name__}; expected an array, uint8 (H, W, 3)")
        if image.dtype != np.uint8 or not image.size or image.shape[2:] not in ((3,), ()) or image.ndim < 2:
            raise ValueError(f"image: got {image.dtype} of shape {image.shape}; expected uint8 (H, W, 3)")
        shrink = max(1, round(max(image.shape[:2]) / _LONG_SIDE))
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        # A long strip keeps a pixel of its short side; see `_SMALLEST`.
        height, width = max(1, image.shape[0] // shrink), max(1, image.shape[1] // shrink)
        small = np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        transform = None
        if self.previous is not None and self.previous.shape == small.shape and min(small.shape) >= _SMALLEST:
            people = np.zeros((0, 4)) if boxes is None else boxes / shrink
            find = _sparse_flow if self.method == "sparse_flow" else _ecc
            transform = find(self.previous, small, people)
        if transform is None or not _plausible(transform):
            return np.eye(2, 3), small
        transform[:, 2] *= shrink
        return transform, small

    def remember(self, small: Image) -> None:
        """Keeps the frame that `estimate` returned as the previous one."""
        self.previous = small

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns a copy of what is remembered, by name."""
        return {} if self.previous is None else {"previous": self.previous.copy()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `arrays` returned.

        Raises:
            ValueError: if it is no grey picture.
        """
        previous = arrays.get("previous")
        if previous is not None and (previous.dtype != np.uint8 or previous.ndim != 2 or not previous.size):
            raise ValueError("tracker state, 'camera/previous': got no grey picture; expected uint8 of shape (H, W)")
        self.previous = None if previous is None else np.array(previous)


def _plausible(transform: FloatArray) -> bool:
    """Returns whether a camera can have moved like this between two frames."""
    if not np.isfinite(transform).all():
        return False
    return bool(1 / _MOST_ZOOM**2 < np.linalg.det(transform[:, :2]) < _MOST_ZOOM**2)


def _background(shape: tuple[int, ...], people: FloatArray) -> Image:
    mask = np.full(shape, 255, np.uint8)
    for x1, y1, x2, y2 in np.clip(people, 0, max(shape)).astype(int):
        mask[y1 : y2 + 1, x1 : x2 + 1] = 0
    return mask


def _sparse_flow(previous: Image, current: Image, people: FloatArray) -> FloatArray | None:
    """Returns the similarity that most tracked corners agree on, or None."""
    import cv2

    mask = _background(current.shape, people)
    # Corners are chosen in this frame, where the people are known, and followed backwards.
    corners = cv2.goodFeaturesToTrack(current, _CORNERS, 0.01, 4, mask=mask)
    if corners is None or len(corners) < _FEWEST:
        return None
    before, status, _ = cv2.calcOpticalFlowPyrLK(current, previous, corners, None)  # type: ignore[call-overload]
    followed = status.ravel() == 1
    if followed.sum() < _FEWEST:
        return None
    transform, inliers = cv2.estimateAffinePartial2D(before[followed], corners[followed], method=cv2.RANSAC)
    if transform is None or inliers.sum() < _FEWEST:
        return None
    return np.asarray(transform, np.float64)


def _ecc(previous: Image, current: Image, people: FloatArray) -> FloatArray | None:
    """Returns the rotation and shift of the largest enhanced correlation coefficient, or None if it diverges."""
    import cv2

    warp = np.eye(2, 3, dtype=np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
    mask = _background(current.shape, people)
    try:
        # The warp that OpenCV finds maps the template to the input.
        _, warp = cv2.findTransformECC(previous, current, warp, cv2.MOTION_EUCLIDEAN, criteria, mask, 5)  # type: ignore
    except cv2.error:
        return None
    return np.asarray(warp, np.float64)
