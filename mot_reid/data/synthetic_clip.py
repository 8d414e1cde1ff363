"""Synthetic walkers: a short street scene with its ground truth and what an imperfect detector would say of it.

People cross, hide behind each other, and one leaves and comes back: enough to see a tracker work on a
machine that has neither a video nor a detector.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mot_reid import boxes
from mot_reid.data.synthetic_people import Person, Pose, View, draw_person, paste_person, random_person
from mot_reid.structures import Detections, TrackTable

FRAME_RATE = 12.5
_ASPECT = 0.38  # width / height of a walker's box
_LEAST_VISIBLE = 0.3


@dataclass(frozen=True, slots=True)
class Clip:
    """A synthetic video.

    Attributes:
        images: One (H, W, 3) uint8 BGR picture for each frame, as `video` gives them.
        truth: Who is where, frames from 1; boxes of hidden people included, boxes may leave the picture.
        visibility: (M,) share of each row of `truth` that is seen, 0 to 1.
        detections: One for each frame: noisy boxes, missed people, false alarms.
        frame_rate: Frames per second.
    """

    images: list[NDArray[np.uint8]]
    truth: TrackTable
    visibility: NDArray[np.float64]
    detections: list[Detections]
    frame_rate: float


@dataclass(frozen=True, slots=True)
class _Walk:
    """One person's way: x, in widths, between points of time in frames; and the depth `feet`, 0 (far) to 1 (near).

    `facing` is the side that a camera sees of somebody who stands.
    """

    person: Person
    times: tuple[float, ...]
    places: tuple[float, ...]
    feet: float
    facing: View = "front"

    def x(self, time: float) -> float:
        return float(np.interp(time, self.times, self.places))

    def heading(self, time: float) -> float:
        return self.x(time + 1) - self.x(time - 1)


@dataclass(frozen=True, slots=True)
class _Camera:
    """Where a camera stands: x of its left edge on the street, the side of the street, and the light (BGR)."""

    left: float
    opposite: bool
    light: tuple[float, float, float]

    def sees(self, walk: _Walk) -> _Walk:
        """Returns a way as it looks from here."""
        places = tuple(1 - x + self.left if self.opposite else x - self.left for x in walk.places)
        if not self.opposite:
            return replace(walk, places=places)
        return replace(walk, places=places, feet=1 - walk.feet, facing="back")


_CAMERAS = (
    _Camera(0.0, opposite=False, light=(1.0, 1.0, 1.0)),
    _Camera(0.1, opposite=True, light=(0.8, 0.86, 0.92)),
    _Camera(0.45, opposite=False, light=(0.74, 0.86, 0.98)),
)
CAMERAS = len(_CAMERAS)


def walkers(*, frames: int = 100, people: int = 8, width: int = 480, height: int = 270, seed: int = 0) -> Clip:
    """A street scene, the same for the same arguments.

    Person 1 crosses person 2, person 3 walks out of the picture and comes back with the same identity, and the others
    pass, stand and cross as the seed has it.

    Args:
        frames: Length of the clip.
        people: How many, 3 or more.
        width: Of the picture in pixels.
        height: Of the picture in pixels.
        seed: Chooses looks, ways and the detector's noise.

    Raises:
        ValueError: Fewer than 3 people, no frame, or a picture below 64 pixels.
    """
    _check(frames=frames, people=people, width=width, height=height)
    walks = _ways(np.random.default_rng([seed, 1]), frames, people)
    street = _street(np.random.default_rng([seed, 0]), width, height)
    return _film(street, walks, np.random.default_rng([seed, 2]), frames=frames)


def walkers_seen_by(
    camera: int, *, frames: int = 100, people: int = 6, width: int = 480, height: int = 270, seed: int = 0
) -> Clip:
    """The street scene of several synchronised cameras as one of them sees it; identities are the same in all.

    The second camera stands on the other side of the street, in less light; the third, further down the street, sees
    those who leave the first to the right, in warmer light.

    Args:
        camera: From 0 to 2.
        frames: Length of the clip.
        people: How many, 3 or more.
        width: Of the picture in pixels.
        height: Of the picture in pixels.
        seed: Chooses looks and ways.

    Raises:
        ValueError: There is no such camera, or as for `walkers`.
    """
    if not 0 <= camera < CAMERAS:
        raise ValueError(f"walkers camera: got {camera}; expected 0 to {CAMERAS - 1}")
    _check(frames=frames, people=people, width=width, height=height)
    view = _CAMERAS[camera]
    walks = [view.sees(walk) for walk in _ways(np.random.default_rng([seed, 1]), frames, people)]
    street = _street(np.random.default_rng([seed, 3, camera]), width, height)
    return _film(street, walks, np.random.default_rng([seed, 4, camera]), frames=frames, light=view.light)


def _check(**given: int) -> None:
    """Refuses a scene that cannot be."""
    for name, least in (("frames", 1), ("people", 3), ("width", 64), ("height", 64)):
        if given[name] < least:
            raise ValueError(f"walkers {name}: got {given[name]}; expected {least} or more; raise it")


def _film(
    street: Image.Image,
    walks: list[_Walk],
    noise: np.random.Generator,
    *,
    frames: int,
    light: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Clip:
    """Returns the clip of one camera."""
    width, height = street.size
    images, detections, tables, visible = [], [], [], []
    for time in range(frames):
        xyxy = np.array([_box(walk, time, width, height) for walk in walks])
        seen = _visibility(xyxy, width, height)
        drawn = _draw(street, walks, time, width, height)
        images.append(drawn if min(light) == 1 else (drawn * np.array(light)).astype(np.uint8))
        detections.append(_detect(xyxy, seen, noise, width, height))
        center = xyxy[:, [0, 2]].mean(axis=1)
        inside = (center > 0) & (center < width)
        ids = np.flatnonzero(inside) + 1
        tables.append(TrackTable(frame=np.full(len(ids), time + 1), track_id=ids, xyxy=xyxy[inside]))
        visible.append(seen[inside])
    return Clip(images, TrackTable.concatenate(tables), np.concatenate(visible), detections, FRAME_RATE)


def _ways(rng: np.random.Generator, frames: int, people: int) -> list[_Walk]:
    """Ordered from 1; depths differ, so that who hides whom is never a tie."""
    looks = [random_person(rng) for _ in range(people)]
    depths = rng.permutation(np.linspace(0.05, 0.95, people))
    end = float(frames)
    ways: list[tuple[tuple[float, ...], tuple[float, ...]]] = [
        ((0, end), (0.05, 0.85)),
        ((0, end), (0.9, 0.15)),
        ((0, 0.3 * end, 0.6 * end, end), (0.75, 1.15, 1.15, 0.5)),
    ]
    for _ in range(people - 3):
        start, stop = rng.uniform(0, 1, 2)
        if rng.random() < 0.25:
            ways.append(((0, end), (start, start)))
        elif rng.random() < 0.5:
            pause = sorted(rng.uniform(0.2, 0.8, 2) * end)
            ways.append(((0, pause[0], pause[1], end), (start, stop, stop, start)))
        else:
            ways.append(((0, end), (start, start + np.sign(stop - start) * rng.uniform(0.5, 0.9))))
    return [_Walk(look, times, places, feet) for look, (times, places), feet in zip(looks, ways, depths)]


def _box(walk: _Walk, time: float, width: int, height: int) -> list[float]:
    tall = height * (0.32 + 0.2 * walk.feet)
    feet = height * (0.56 + 0.4 * walk.feet)
    middle = width * walk.x(time)
    return [middle - 0.5 * _ASPECT * tall, feet - tall, middle + 0.5 * _ASPECT * tall, feet]


def _visibility(xyxy: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """(N,) share of each box that is inside the picture and not behind a nearer box, counted on a grid of points."""
    grid = (np.arange(12) + 0.5) / 12
    x = xyxy[:, None, 0] + grid * (xyxy[:, 2] - xyxy[:, 0])[:, None]
    y = xyxy[:, None, 1] + grid * (xyxy[:, 3] - xyxy[:, 1])[:, None]
    px, py = np.broadcast_arrays(x[:, None, :], y[:, :, None])
    free = (px >= 0) & (px < width) & (py >= 0) & (py < height)
    for i, (x1, y1, x2, y2) in enumerate(xyxy):
        behind = (xyxy[:, 3] < xyxy[i, 3])[:, None, None]
        free &= ~(behind & (px >= x1) & (px < x2) & (py >= y1) & (py < y2))
    return free.mean(axis=(1, 2))


def _detect(
    xyxy: NDArray[np.float64], visible: NDArray[np.float64], rng: np.random.Generator, width: int, height: int
) -> Detections:
    """What a detector would find: hidden people seldom and with a low score, jittered boxes, a false alarm at times."""
    count = len(xyxy)
    score = np.clip(0.35 + 0.6 * visible + rng.normal(0, 0.06, count), 0.05, 0.99)
    found = (visible > _LEAST_VISIBLE) & (rng.random(count) > 0.03)
    size = (xyxy[:, 3] - xyxy[:, 1])[:, None]
    noisy = xyxy + rng.normal(0, 0.015, (count, 4)) * size
    alarm, x, y = rng.random() < 0.1, rng.uniform(0.1, 0.8) * width, rng.uniform(0.1, 0.8) * height
    if alarm:
        noisy = np.vstack([noisy, [x, y, x + 0.08 * width, y + 0.3 * height]])
        score, found = np.append(score, rng.uniform(0.1, 0.5)), np.append(found, True)
    return Detections(boxes.clip(noisy[found], width, height), score[found])


def _street(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """House wall, pavement with joints, some unevenness."""
    scene = np.empty((height, width, 3), dtype=np.float32)
    horizon = int(0.5 * height)
    scene[:horizon], scene[horizon:] = (168, 158, 146), (134, 136, 138)
    for x in range(0, width, max(1, width // 6)):
        scene[int(0.1 * height) : int(0.35 * height), x + width // 24 : x + width // 9] = (94, 110, 128)
    for step in np.linspace(0, 1, 7)[1:] ** 2:
        scene[min(height - 1, int(horizon + step * (height - horizon)))] *= 0.85
    patches = Image.fromarray(rng.uniform(0.9, 1.1, (9, 16)).astype(np.float32)).resize((width, height))
    return Image.fromarray(np.clip(scene * np.asarray(patches)[..., None], 0, 255).astype(np.uint8))


def _draw(street: Image.Image, walks: list[_Walk], time: int, width: int, height: int) -> NDArray[np.uint8]:
    """The frame, far people first; figures are drawn at twice the size for smooth edges."""
    canvas = street.copy()
    for walk in sorted(walks, key=lambda walk: walk.feet):
        x1, y1, x2, y2 = _box(walk, time, width, height)
        if x2 < 0 or x1 > width:
            continue
        heading = walk.heading(time)
        view: View = walk.facing if abs(heading) < 1e-4 else "right" if heading > 0 else "left"
        pose = Pose(view, phase=40 * walk.x(time), stride=0.02 if view == walk.facing else 0.13, lift=0.0)
        figure = draw_person(walk.person, pose, 2 * round(y2 - y1)).reduce(2)
        paste_person(canvas, figure, (x1 + x2) / 2, y2)
    return np.ascontiguousarray(np.asarray(canvas)[..., ::-1])
