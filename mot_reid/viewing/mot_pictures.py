"""What the camera saw when a tracker lost somebody: pieces of frames, and the boxes drawn over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from mot_reid.arrays import FloatArray, Image
from mot_reid.metrics.mot_events import MotEvent
from mot_reid.structures import TrackTable
from mot_reid.viewing.crops import data_uri
from mot_reid.viewing.draw import css_colour

Region = tuple[float, float, float, float]

HIGH, WIDE = 1.8, 1.5
"""Size of a piece, in heights of the person."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A piece of a frame; the region is xyxy in the coordinates of the ground truth and may leave the picture."""

    frame: int
    region: Region


@dataclass(frozen=True, slots=True)
class Picture:
    """What was in a shot: a JPEG in a URI, and the part of the region that it shows."""

    uri: str
    region: Region


def shots(event: MotEvent, truth: TrackTable) -> list[Shot]:
    """Returns what to look at: the last match, the middle of the time between, and the next match.

    Args:
        event: What happened.
        truth: Of its sequence.
    """
    height = max(float(event.last_box[3] - event.last_box[1]), float(event.box[3] - event.box[1]), 1.0)
    found = [Shot(event.last_frame, _around(event.last_box, height))]
    own = truth[(truth.track_id == event.person) & (truth.frame > event.last_frame) & (truth.frame < event.frame)]
    if len(own):
        middle = np.argsort(own.frame)[len(own) // 2]
        found.append(Shot(int(own.frame[middle]), _around(own.xyxy[middle], height)))
    return [*found, Shot(event.frame, _around(event.box, height))]


def take(frames: Iterable[tuple[int, Image]], wanted: Sequence[Shot], *, scale: float = 1.0) -> dict[Shot, Picture]:
    """Returns the pictures of the shots, in one pass over the frames; shots beyond the frames or their edges have none.

    Args:
        frames: Number, from 1, and (H, W, 3) uint8 BGR image, rising.
        wanted: In any order.
        scale: Pixels of the images for one of the coordinates.
    """
    by_frame: dict[int, list[Shot]] = {}
    for shot in wanted:
        by_frame.setdefault(shot.frame, []).append(shot)
    found = {}
    for number, image in frames:
        for shot in by_frame.pop(number, ()):
            picture = _cut(image, shot.region, scale)
            if picture is not None:
                found[shot] = picture
        if not by_frame:
            break
    return found


def shot_svg(
    shot: Shot,
    picture: Picture | None,
    *,
    person: int,
    truth: TrackTable,
    result: TrackTable,
    tracks: tuple[int, int],
    expected: FloatArray | None = None,
) -> Markup:
    """Returns a shot with its boxes: those of the two tracks and, dashed, the person's own; others thin.

    Args:
        shot: Where and when.
        picture: What was seen there; None draws the boxes alone.
        person: Whose event it is.
        truth: Of the sequence.
        result: Of the sequence.
        tracks: Of the event, the old one first.
        expected: (4,) where the old one was expected, drawn dotted.
    """
    x1, y1, x2, y2 = shot.region
    unit = (x2 - x1) / 100
    parts = [f'<rect class="void" x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"/>']
    if picture is not None:
        a, b, c, d = picture.region
        parts.append(
            f'<image href="{picture.uri}" x="{a:.2f}" y="{b:.2f}" width="{c - a:.2f}" height="{d - b:.2f}" '
            'preserveAspectRatio="none"/>'
        )
    here = result[result.frame == shot.frame]
    for row in np.argsort(np.isin(here.track_id, tracks), kind="stable"):
        parts.append(_box(here.xyxy[row], int(here.track_id[row]), unit, main=int(here.track_id[row]) in tracks))
    if expected is not None:
        parts.append(_outline(expected, f'stroke="{css_colour(tracks[0])}"', width=1.6 * unit, dash=(unit, 2 * unit)))
    for box in truth.xyxy[(truth.frame == shot.frame) & (truth.track_id == person)]:
        parts.append(_outline(box, 'class="own"', width=1.2 * unit, dash=(3 * unit, 2.2 * unit)))
    return Markup(
        f'<svg class="shot" viewBox="{x1:.1f} {y1:.1f} {x2 - x1:.1f} {y2 - y1:.1f}" role="img" '
        f'aria-label="person {person} in frame {shot.frame}">{"".join(parts)}</svg>'
    )


def looks(event: MotEvent) -> tuple[tuple[int, FloatArray], tuple[int, FloatArray]]:
    """Returns frame and box of the two crops whose similarity is the event's `cosine`."""
    return (event.last_frame, event.last_box), (event.frame, event.box)


def _around(box: FloatArray, height: float) -> Region:
    x, y = (box[:2] + box[2:]) / 2
    half_width, half_height = WIDE * height / 2, HIGH * height / 2
    return (
        round(float(x) - half_width, 1),
        round(float(y) - half_height, 1),
        round(float(x) + half_width, 1),
        round(float(y) + half_height, 1),
    )


def _cut(image: Image, region: Region, scale: float) -> Picture | None:
    height, width = image.shape[:2]
    corners = np.rint(np.array(region) * scale).clip(0, [width, height, width, height]).astype(int)
    x1, y1, x2, y2 = corners.tolist()
    if x1 >= x2 or y1 >= y2:
        return None
    seen = np.array([x1, y1, x2, y2]) / scale
    return Picture(data_uri(image[y1:y2, x1:x2, ::-1]), (seen[0], seen[1], seen[2], seen[3]))


def _box(xyxy: FloatArray, track: int, unit: float, *, main: bool) -> str:
    """Returns one box of the result; that of an event's track with its number."""
    x, y, width, height = xyxy[0], xyxy[1], xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]
    ink, pale = css_colour(track), "" if main else 'opacity=".8" '
    shape = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="none" {pale}'
        f'stroke="{ink}" stroke-width="{(2 if main else 1) * unit:.2f}"/>'
    )
    if not main:
        return shape
    wide = (5 + 5.2 * len(str(track))) * unit
    return (
        f'{shape}<rect x="{x:.1f}" y="{y - 11 * unit:.1f}" width="{wide:.2f}" height="{11 * unit:.2f}" fill="{ink}"/>'
        f'<text x="{x + 2.5 * unit:.2f}" y="{y - 2.2 * unit:.2f}" style="font-size:{9.5 * unit:.2f}px">{track}</text>'
    )


def _outline(xyxy: FloatArray, look: str, *, width: float, dash: tuple[float, float]) -> str:
    x, y, wide, tall = xyxy[0], xyxy[1], xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]
    return (
        f'<rect {look} fill="none" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
        f'stroke-width="{width:.2f}" stroke-dasharray="{dash[0]:.2f} {dash[1]:.2f}"/>'
    )


def of_event(event: MotEvent, truth: TrackTable, taken: Mapping[Shot, Picture]) -> list[tuple[Shot, Picture | None]]:
    """Returns the shots of an event with what was seen in them."""
    return [(shot, taken.get(shot)) for shot in shots(event, truth)]
