"""Pictures of people for a report: crops of a rank list, and where a network looks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

LARGEST = 256
"""Pictures are stored at most this high, in pixels."""
QUALITY = 85
FRAMES = {"query": (90, 90, 90), "match": (30, 150, 60), "wrong": (200, 40, 40), "ignored": (200, 200, 200)}
"""RGB colour of the frame around a picture of each status."""
HEAT = 0.55
"""Share of the warm colour where a map is 1."""


@dataclass(frozen=True, eq=False)
class Crop:
    """One picture of a person in a rank list.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        person_id: Who it is; 0 is a distractor, -1 junk; None when unknown.
        camera_id: Where it was seen, None when unknown.
        status: "query", "match", "wrong", "ignored", or "answer" where nobody knows.
        rank: From 1, among the images that count; 0 for others.
        similarity: To the query.
        caption: Written below in place of person and camera.
    """

    image: Image
    person_id: int | None = None
    camera_id: int | None = None
    status: str = "query"
    rank: int = 0
    similarity: float | None = None
    caption: str | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """A query, the most similar gallery images in their order, and the query's average precision (a fraction).

    The average precision is None where nobody knows which answers are right.
    """

    query: Crop
    answers: Sequence[Crop]
    ap: float | None


@dataclass(frozen=True, eq=False)
class Evidence:
    """A query and an answer, and for each a (h, w) map in [0, 1] of the places that make it like the other."""

    query: Crop
    answer: Crop
    query_map: NDArray[np.floating]
    answer_map: NDArray[np.floating]


def overlay(image: Image, heat: NDArray[np.floating]) -> Image:
    """Returns the picture with a map laid over, warm where the map is high and unchanged where it is 0.

    Args:
        image: (h, w, 3) uint8 RGB.
        heat: (h', w') in [0, 1], of any resolution.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    import cv2

    height, width = image.shape[:2]
    large = cv2.resize(np.asarray(heat, dtype=np.float32), (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    warm = cv2.applyColorMap((255 * large).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    gray = image.mean(axis=2, keepdims=True)
    faded = 0.5 * image + 0.5 * gray
    weight = HEAT * large[:, :, None]
    return ((1 - weight) * faded + weight * warm).round().astype(np.uint8)


def strip(crops: Sequence[Crop], *, height: int = 128, frame: int = 4) -> Image:
    """Returns pictures side by side, each in a frame of the colour of its status.

    Args:
        crops: one or more, such as a query and its answers.
        height: of each picture in pixels, whose width is half of it.
        frame: width of the frames in pixels.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    import cv2

    tiles = []
    for crop in crops:
        tile = np.empty((height + 2 * frame, height // 2 + 2 * frame, 3), dtype=np.uint8)
        tile[:] = FRAMES.get(crop.status, FRAMES["query"])
        picture = cv2.resize(np.ascontiguousarray(crop.image), (height // 2, height), interpolation=cv2.INTER_AREA)
        tile[frame:-frame, frame:-frame] = picture
        tiles.append(tile)
    return np.hstack(tiles)


def data_uri(image: Image) -> str:
    """Returns a picture (h, w, 3) uint8 RGB as a JPEG inside of a URI."""
    import cv2

    height, width = image.shape[:2]
    if height > LARGEST:
        size = (max(1, round(width * LARGEST / height)), LARGEST)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()
