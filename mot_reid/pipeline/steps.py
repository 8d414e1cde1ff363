"""Frames in, identities out, while the detector works on the next frames."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mot_reid.arrays import Image
from mot_reid.structures import Detections, Tracks, as_detections


@runtime_checkable
class NumberedDetector(Protocol):
    """A detector that is asked by frame number, as one that reads a file."""

    def at(self, number: int) -> Any:
        """Returns the detections of frame `number`, from 1."""


class TrackerLike(Protocol):
    """What gives identities: `Tracker`, or anything with its `update`."""

    def update(self, detections: Any, image: Image | None = None, *, time_seconds: float | None = None) -> Tracks:
        """Returns the tracks seen in the next frame."""


_END: Any = object()

Detector = Callable[[Image], Any] | NumberedDetector
Enrich = Callable[[list[Image], list[Detections]], list[Detections]]


@dataclass(frozen=True, slots=True)
class Step:
    """All that is known of one frame.

    Attributes:
        number: of the frame, from 1.
        time_seconds: since the first frame, or None where the frames do not say.
        image: (H, W, 3) uint8 BGR.
        detections: what the detector found.
        tracks: what the tracker says.
    """

    number: int
    time_seconds: float | None
    image: Image
    detections: Detections
    tracks: Tracks


class Stopwatch:
    """Adds up the seconds that each stage was at work, in any thread; a stage inside another counts by itself.

    Stages that run at the same time add up to more than what went by on the wall.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock, self._thread = threading.Lock(), threading.local()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Counts the time of the block for a stage."""
        others = getattr(self._thread, "inner", 0.0)
        self._thread.inner = 0.0
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            own = spent - self._thread.inner
            self._thread.inner = others + spent
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + own


def steps(
    frames: Iterable[Any],
    detector: Detector,
    tracker: TrackerLike,
    *,
    batch: int = 1,
    enrich: Enrich | None = None,
    stopwatch: Stopwatch | None = None,
) -> Iterator[Step]:
    """Yields everything about each frame, in order.

    The detector works in threads of its own, `detector.workers` of them (1 where it does not say), a few frames ahead.

    Args:
        frames: (H, W, 3) uint8 BGR images, or things with `image`, `number` and `time_seconds`, as `data.video.frames`
            gives them.
        detector: `image -> Detections` (or what `as_detections` takes); one that has `many(images)` is given `batch`
            images at once; one that has `at(number)` is asked by frame number.
        tracker: a `Tracker`, which goes on from where it stands.
        batch: frames that go through the detector together.
        enrich: adds to the detections of such a batch, in the detector's threads, such as `EmbedAhead`.
        stopwatch: counts the stages `read` (waiting for frames), `detect` and `associate`.

    Raises:
        ValueError: if a frame or a detection is not valid.
    """
    if batch < 1:
        raise ValueError(f"batch: got {batch}; expected 1 or more frames")
    if isinstance(frames, (str, os.PathLike)):
        raise ValueError(
            f"frames: got '{frames}'; expected images; use mot_reid.track, or open it with mot_reid.data.video.frames"
        )
    watch = stopwatch or Stopwatch()
    for frame, detections in _detected(_numbered(frames, watch), detector, enrich, batch=batch, watch=watch):
        with watch("associate"):
            tracks = tracker.update(detections, frame.image, time_seconds=frame.time_seconds)
        yield Step(frame.number, frame.time_seconds, frame.image, detections, tracks)


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int
    time_seconds: float | None
    image: Image


def _numbered(frames: Iterable[Any], watch: Stopwatch) -> Iterator[_Frame]:
    """Yields frames with their numbers, those of bare images counted."""
    iterator, count = iter(frames), 0
    while True:
        with watch("read"):
            item = next(iterator, _END)
        if item is _END:
            return
        count += 1
        if hasattr(item, "image"):
            yield _Frame(int(item.number), getattr(item, "time_seconds", None), item.image)
        elif isinstance(item, np.ndarray):
            yield _Frame(count, None, item)
        else:
            raise ValueError(
                f"frames: got {type(item).__name__} as frame {count}; expected an array, uint8 (H, W, 3); "
                "check that it was loaded"
            )


def _detected(
    frames: Iterator[_Frame], detector: Detector, enrich: Enrich | None, *, batch: int, watch: Stopwatch
) -> Iterator[tuple[_Frame, Detections]]:
    """Yields frames with their detections, in order; a failure comes after what was found before it."""
    workers = max(1, int(getattr(detector, "workers", 1)))

    def detect(group: list[_Frame]) -> list[Detections]:
        with watch("detect"):
            found = [as_detections(answer) for answer in _ask(detector, group)]
        return found if enrich is None else enrich([frame.image for frame in group], found)

    waiting: deque[tuple[list[_Frame], Future[list[Detections]]]] = deque()
    failure: Exception | None = None
    with ThreadPoolExecutor(workers, thread_name_prefix="detector") as pool:
        try:
            while failure is None:
                try:
                    group = list(islice(frames, batch))
                except Exception as error:  # raised when what came before is done
                    failure = error
                    break
                if not group:
                    break
                waiting.append((group, pool.submit(detect, group)))
                if len(waiting) > workers:
                    yield from _taken(*waiting.popleft())
            while waiting:
                yield from _taken(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()
    if failure is not None:
        raise failure


def _taken(group: list[_Frame], future: Future[list[Detections]]) -> Iterator[tuple[_Frame, Detections]]:
    return zip(group, future.result(), strict=True)


def _ask(detector: Detector, group: list[_Frame]) -> Iterable[Any]:
    """Returns what the detector says of each frame of a group."""
    if isinstance(detector, NumberedDetector):
        check = getattr(detector, "check_size", None)
        if check is not None:
            check(group[0].image.shape[1], group[0].image.shape[0])
        return [detector.at(frame.number) for frame in group]
    many = getattr(detector, "many", None)
    if many is not None:
        return many([frame.image for frame in group])
    return [detector(frame.image) for frame in group]
