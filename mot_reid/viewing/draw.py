"""Tracks drawn on frames: boxes, identities, scores, and where people came from; and several pictures in one."""

from __future__ import annotations

import colorsys
import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mot_reid.arrays import Image
from mot_reid.structures import Tracks

Colour = tuple[int, int, int]
Plate = tuple[int, int, int, int]

_GOLDEN = 0.61803398875
_SHADES = ((0.85, 0.95), (0.95, 0.7), (0.45, 1.0))  # saturation and value; neighbours differ in more than the hue
_DARK, _LIGHT = (20, 20, 20), (255, 255, 255)
_TRAIL_GAP_SECONDS = 0.5


def colour(track_id: int) -> Colour:
    """Returns the colour of an identity as blue, green, red: always the same, and unlike those of its neighbours.

    Args:
        track_id: 0 or more.
    """
    saturation, value = _SHADES[track_id % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(track_id * _GOLDEN % 1.0, saturation, value)
    return round(255 * blue), round(255 * green), round(255 * red)


def css_colour(identity: int) -> str:
    """Returns the colour of an identity, as `colour` gives it, for a page."""
    blue, green, red = colour(identity)
    return f"rgb({red},{green},{blue})"


class Annotator:
    """Draws what a tracker says on the frames of one video, in order: `annotator(image, tracks)`.

    Args:
        boxes: draw the boxes.
        ids: write the identities.
        trails: draw the way of the feet.
        scores: write the scores.
        trail_seconds: how far back a trail goes.
        frame_rate: frames per second of the video.

    Raises:
        ValueError: if a number is not above 0.
    """

    def __init__(
        self,
        *,
        boxes: bool = True,
        ids: bool = True,
        trails: bool = True,
        scores: bool = False,
        trail_seconds: float = 2.0,
        frame_rate: float = 30.0,
    ) -> None:
        for name, value in (("trail_seconds", trail_seconds), ("frame_rate", frame_rate)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name}: got {value}; expected a number above 0")
        self._boxes, self._ids, self._trails, self._scores = boxes, ids, trails, scores
        self._length = max(1, round(trail_seconds * frame_rate))
        self._gap = max(1, round(_TRAIL_GAP_SECONDS * frame_rate))
        self._frame = 0
        self._feet: dict[int, deque[tuple[int, int, int]]] = {}

    def __call__(self, image: Image, tracks: Tracks) -> Image:
        """Returns a copy of the frame with the tracks drawn on it.

        Args:
            image: (H, W, 3) uint8 BGR.
            tracks: of this frame.

        Raises:
            ValueError: if the image is of another kind.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image: got {image.dtype} of shape {image.shape}; expected uint8 (H, W, 3)")
        self._frame += 1
        self._remember(tracks)
        picture = np.ascontiguousarray(image).copy()
        line = max(1, round(min(image.shape[:2]) / 400))
        if self._trails:
            for track_id, points in self._feet.items():
                _draw_trail(picture, points, colour(track_id), gap=self._gap, line=line)
        corners = tracks.xyxy.round().astype(int).tolist()
        if self._boxes:
            for xyxy, track_id in zip(corners, tracks.track_id.tolist()):
                _draw_box(picture, xyxy, colour(track_id), line=line)
        if self._ids or self._scores:
            self._label(picture, corners, tracks)
        return picture

    def _label(self, picture: Image, corners: Sequence[Sequence[int]], tracks: Tracks) -> None:
        """Writes next to each box, over all boxes, and not over another label where there is room."""
        plates: list[Plate] = []
        for (x1, y1, _, y2), track_id, score in zip(corners, tracks.track_id.tolist(), tracks.score.tolist()):
            words = [f"{track_id}"] * self._ids + [f"{score:.2f}"] * self._scores
            plates.append(_draw_label(picture, " ".join(words), (x1, y1, y2), colour(track_id), others=plates))

    def _remember(self, tracks: Tracks) -> None:
        """Adds the feet of this frame's tracks to their trails, and forgets what lies too far back."""
        for (x1, _, x2, y2), track_id in zip(tracks.xyxy.tolist(), tracks.track_id.tolist()):
            points = self._feet.setdefault(track_id, deque(maxlen=self._length + 1))
            points.append((self._frame, round((x1 + x2) / 2), round(y2)))
        for points in self._feet.values():
            while points and self._frame - points[0][0] > self._length:
                points.popleft()
        self._feet = {track_id: points for track_id, points in self._feet.items() if points}


def montage(
    images: Sequence[Image], *, titles: Sequence[str] | None = None, columns: int | None = None, width: int = 1920
) -> Image:
    """Returns several pictures side by side in one, each in a cell of the first one's shape, its own shape kept.

    Args:
        images: (H, W, 3) uint8 BGR each, of any sizes.
        titles: one for each picture, written in its corner.
        columns: cells in a row; None is as wide as high.
        width: most pixels across; cells are shrunk to it.

    Raises:
        ValueError: if there is no picture, or the titles are not as many.
    """
    import cv2

    if not images or (titles is not None and len(titles) != len(images)):
        raise ValueError(
            f"montage: got {len(images)} pictures and {len(titles or ())} titles; expected one title for each"
        )
    columns = math.ceil(math.sqrt(len(images))) if columns is None else min(max(columns, 1), len(images))
    rows = math.ceil(len(images) / columns)
    scale = min(1.0, width / (columns * images[0].shape[1]))
    # Video encoders want even sizes.
    wide, tall = (max(2, 2 * round(side * scale / 2)) for side in (images[0].shape[1], images[0].shape[0]))
    sheet = np.zeros((rows * tall, columns * wide, 3), dtype=np.uint8)
    for place, image in enumerate(images):
        fit = min(wide / image.shape[1], tall / image.shape[0])
        size = (min(wide, max(1, round(image.shape[1] * fit))), min(tall, max(1, round(image.shape[0] * fit))))
        x, y = place % columns * wide, place // columns * tall
        left, top = x + (wide - size[0]) // 2, y + (tall - size[1]) // 2
        sheet[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if titles is not None:
            _draw_label(sheet, titles[place], (x, y, y + tall), _DARK)
    return sheet


def _draw_box(picture: Image, xyxy: Sequence[int], ink: Colour, *, line: int) -> None:
    import cv2

    cv2.rectangle(picture, (xyxy[0], xyxy[1]), (xyxy[2] - 1, xyxy[3] - 1), ink, line + 1)


def _draw_trail(picture: Image, points: Sequence[tuple[int, int, int]], ink: Colour, *, gap: int, line: int) -> None:
    """Draws the way through the points, but not where the person was out of sight for longer than `gap` frames."""
    import cv2

    for (before, *start), (after, *end) in pairwise(points):
        if after - before <= gap:
            cv2.line(picture, start, end, ink, line, cv2.LINE_AA)


def _draw_label(
    picture: Image, text: str, edge: tuple[int, int, int], ink: Colour, *, others: Sequence[Plate] = ()
) -> Plate:
    """Writes on a filled plate at the left edge (x, top, bottom) of a box; returns where the plate is.

    It is above the box, or within it at the top, or below it: the first of these that is in the picture and free of
    other plates.
    """
    import cv2

    scale = max(0.4, min(picture.shape[:2]) / 1200)
    thick = max(1, round(scale * 1.5))
    (wide, tall), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    high = tall + below + 2
    left = min(max(edge[0], 0), max(0, picture.shape[1] - wide - 4))
    top = max(edge[1], 0)
    places = [y for y in (edge[1] - high - 1, top, edge[2]) if 0 <= y < picture.shape[0] - high]
    free = [y for y in places if not any(_meet((left, y, left + wide + 3, y + high), other) for other in others)]
    top = (free or places or [top])[0]
    plate = (left, top, left + wide + 3, top + high)
    cv2.rectangle(picture, plate[:2], plate[2:], ink, -1)
    light = 0.114 * ink[0] + 0.587 * ink[1] + 0.299 * ink[2] > 140
    place = (left + 2, top + tall + 1)
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _DARK if light else _LIGHT, thick, cv2.LINE_AA)
    return plate


def _meet(a: Plate, b: Plate) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]
