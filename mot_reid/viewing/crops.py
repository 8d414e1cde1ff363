"""Pictures of people in a report: rank lists, and where a network looks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]

LARGEST = 256
"""Pictures are stored at most this high, in pixels."""
QUALITY = 85
HEAT = 0.55
"""Share of the warm colour where a map is 1."""
MARKS = {"match": "✓", "wrong": "✗", "ignored": "–"}


@dataclass(frozen=True, eq=False)
class Crop:
    """One picture of a person in a rank list.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        person_id: Who it is; 0 is a distractor, -1 junk.
        camera_id: Where it was seen, None when unknown.
        status: "query", "match", "wrong" or "ignored".
        rank: From 1, among the images that count; 0 for others.
        similarity: To the query.
    """

    image: Image
    person_id: int
    camera_id: int | None = None
    status: str = "query"
    rank: int = 0
    similarity: float | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """A query, the most similar gallery images in their order, and the query's average precision (a fraction)."""

    query: Crop
    answers: Sequence[Crop]
    ap: float


@dataclass(frozen=True, eq=False)
class Evidence:
    """A query and an answer, and for each a (h, w) map in [0, 1] of the places that make it like the other."""

    query: Crop
    answer: Crop
    query_map: NDArray[np.floating]
    answer_map: NDArray[np.floating]


def example_html(example: Example) -> str:
    """Returns a query and its answers in a row."""
    answers = "".join(_crop_html(crop) for crop in example.answers)
    return (
        f'<div class="example"><div class="asked">{_crop_html(example.query)}'
        f'<p class="ap">AP {100 * example.ap:.1f}%</p></div><div class="answers">{answers}</div></div>'
    )


def evidence_html(evidence: Evidence) -> str:
    """Returns both pictures, each beside itself with the map laid over."""
    parts = []
    for crop, heat in ((evidence.query, evidence.query_map), (evidence.answer, evidence.answer_map)):
        overlaid = _img(overlay(crop.image, heat), f"{_who(crop)}, with the places that count")
        parts.append(
            f'<figure class="crop {crop.status}"><div>{_img(crop.image, _who(crop))}{overlaid}</div>'
            f"<figcaption>{_caption(crop)}</figcaption></figure>"
        )
    return f'<div class="pair">{"".join(parts)}</div>'


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


def data_uri(image: Image) -> str:
    """Returns a picture (h, w, 3) uint8 RGB as a JPEG inside of a URI."""
    import cv2

    height, width = image.shape[:2]
    if height > LARGEST:
        size = (max(1, round(width * LARGEST / height)), LARGEST)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode()


def _crop_html(crop: Crop) -> str:
    return (
        f'<figure class="crop {crop.status}">{_img(crop.image, _who(crop))}'
        f"<figcaption>{_caption(crop)}</figcaption></figure>"
    )


def _img(image: Image, text: str) -> str:
    return f'<img src="{data_uri(image)}" alt="{escape(text)}" loading="lazy">'


def _who(crop: Crop) -> str:
    person = {0: "distractor", -1: "junk"}.get(crop.person_id, f"person {crop.person_id}")
    camera = "" if crop.camera_id is None else f", camera {crop.camera_id}"
    return f"{crop.status}: {person}{camera}"


def _caption(crop: Crop) -> str:
    """Returns rank and similarity, then who and where."""
    who = {0: "distractor", -1: "junk"}.get(crop.person_id, str(crop.person_id))
    where = "" if crop.camera_id is None else f" · c{crop.camera_id}"
    if crop.status == "query":
        return f"<b>query</b><span>{who}{where}</span>"
    similarity = "" if crop.similarity is None else f"{crop.similarity:.2f}"
    rank = f"{crop.rank}" if crop.rank else ""
    return f"<b>{MARKS[crop.status]} {rank}</b> {similarity}<span>{who}{where}</span>"
