"""Short clips of the people in a video, cut out by their tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from mot_reid.arrays import FloatArray, Image, IntArray
from mot_reid.data.frame import Frame
from mot_reid.structures import TrackTable

CONTEXT = 2.0
"""Side of the square that a clip shows, in heights of the person's box."""
_LEAST_SEEN = 0.5
"""Share of a window's frames in which the track must have a box."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A part of a track that becomes a clip.

    Attributes:
        track_id: Who.
        first_frame: Where it begins.
        last_frame: Where it ends, included.
        frames: (T,) numbers of the frames to take, rising; a number may come twice in a slow video.
        square: (4,) whole pixels x1, y1, x2, y2, the same in all frames; may reach beyond the picture.
    """

    track_id: int
    first_frame: int
    last_frame: int
    frames: IntArray
    square: IntArray


def windows(
    table: TrackTable, *, frame_rate: float, seconds: float, frames: int, context: float = CONTEXT
) -> list[Window]:
    """Returns the windows of every track, one after the other; the last one ends where the track ends.

    A track that is shorter than a window has none. The square stays in place for the whole window, so that a clip also
    shows how the person moves through the picture.

    Args:
        table: Tracks of one video.
        frame_rate: Frames per second.
        seconds: Length of a window.
        frames: T, frames to take from each window, evenly spaced.
        context: Side of the square in heights of the person's box.
    """
    length = max(1, round(seconds * frame_rate))
    found = []
    for track, rows in table.rows_by_track().items():
        seen, xyxy = table.frame[rows], table.xyxy[rows]
        first, last = int(seen[0]), int(seen[-1])
        starts = list(range(first, last - length + 2, length))
        if starts and starts[-1] + length - 1 < last:
            starts.append(last - length + 1)
        for start in starts:
            inside = (seen >= start) & (seen < start + length)
            if inside.sum() < _LEAST_SEEN * length:
                continue
            numbers = start + ((np.arange(frames) + 0.5) * length / frames).astype(np.int64)
            found.append(Window(track, start, start + length - 1, numbers, _square(xyxy[inside], context)))
    return found


def cut(
    frames: Iterable[Frame], chosen: Sequence[Window], *, size: tuple[int, int]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yields the clip of each window, (T, H, W, 3) uint8 RGB, with its place among them, as soon as it is complete.

    A frame that the video lacks is replaced by the one before it in the clip, else by the one after it; a window
    without any frame yields nothing.

    Args:
        frames: Of the video, from its start; read no further than the last window.
        chosen: What is cut.
        size: H and W of the clips in pixels.
    """
    waiting: dict[int, list[int]] = {}
    for place, window in enumerate(chosen):
        for number in set(window.frames.tolist()):
            waiting.setdefault(number, []).append(place)
    order = sorted(range(len(chosen)), key=lambda place: int(chosen[place].frames[-1]))
    parts: dict[int, dict[int, NDArray[np.uint8]]] = {}
    done = 0
    for frame in frames if chosen else ():
        for place in waiting.pop(frame.number, ()):
            parts.setdefault(place, {})[frame.number] = picture(frame.image, chosen[place].square, size)
        while done < len(order) and chosen[order[done]].frames[-1] <= frame.number:
            yield from _whole(order[done], chosen, parts)
            done += 1
        if done == len(order):
            return
    for place in order[done:]:
        yield from _whole(place, chosen, parts)


def picture(image: Image, square: IntArray, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns a part of an image, resized, as (H, W, 3) uint8 RGB; beyond the edge it repeats the edge.

    Args:
        image: (h, w, 3) uint8 BGR.
        square: x1, y1, x2, y2 in whole pixels.
        size: H and W in pixels.
    """
    x1, y1, x2, y2 = (int(value) for value in square)
    rows = np.arange(y1, y2).clip(0, image.shape[0] - 1)
    columns = np.arange(x1, x2).clip(0, image.shape[1] - 1)
    part = np.ascontiguousarray(image[rows[:, None], columns, ::-1])
    resized = Pillow.fromarray(part).resize((size[1], size[0]), Pillow.Resampling.BILINEAR)
    return np.asarray(resized)


def _square(xyxy: FloatArray, context: float) -> IntArray:
    """Returns the square around the middle of the way that boxes take, as large as their height says."""
    middle = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    centre = (middle.min(axis=0) + middle.max(axis=0)) / 2
    half = max(1.0, context * float(np.median(xyxy[:, 3] - xyxy[:, 1])) / 2)
    return np.concatenate([centre - half, centre + half]).round().astype(np.int64)


def _whole(
    place: int, chosen: Sequence[Window], parts: dict[int, dict[int, NDArray[np.uint8]]]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yields the clip of one window, if any of its frames was there, and frees its frames."""
    there = parts.pop(place, {})
    if not there:
        return
    numbers = np.array(sorted(there))
    before = np.maximum(np.searchsorted(numbers, chosen[place].frames, side="right") - 1, 0)
    yield place, np.stack([there[number] for number in numbers[before].tolist()])
