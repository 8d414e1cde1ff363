"""The frames of a job: those of a file, a folder, a camera or a stream, or a synthetic clip."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from mot_reid.data.synthetic_clip import walkers, walkers_seen_by
from mot_reid.data.video import Frame, VideoReader
from mot_reid.pipeline.plan import SYNTHETIC, SYNTHETIC_CAMERAS

Found = TypeVar("Found")
log = logging.getLogger(__name__)


class Source:
    """Yields the frames of one source, and knows how it ended.

    Args:
        source: what a `VideoReader` opens, "synthetic", or a synthetic camera such as "synthetic-1".
        frame_rate: frames per second; None for what the source says.
        max_frames: where to stop; None for at the end.

    Attributes:
        frame_rate: frames per second.
        length: frames to expect; None where nobody knows.
        detections: those that belong to the synthetic clip; None elsewhere.

    Raises:
        FileNotFoundError, ValueError, ConnectionError: as `VideoReader` does.
    """

    def __init__(self, source: str, *, frame_rate: float | None = None, max_frames: int | None = None) -> None:
        self._most = max_frames
        self._handler: Any = None
        self.detections = None
        self._reader: VideoReader | None = None
        self._ended: str | None = None
        self._frames: Iterable[Frame]
        if source == SYNTHETIC or source in SYNTHETIC_CAMERAS:
            clip = walkers() if source == SYNTHETIC else walkers_seen_by(SYNTHETIC_CAMERAS.index(source))
            self.frame_rate, self.detections = clip.frame_rate, clip.detections
            self._frames = [
                Frame(number, (number - 1) / clip.frame_rate, image) for number, image in enumerate(clip.images, 1)
            ]
            length: int | None = len(clip.images)
        else:
            self._frames = self._reader = VideoReader(source, frame_rate=frame_rate)
            self.frame_rate, length = self._reader.frame_rate, self._reader.length
        self.live = length is None
        self.length = min(length, self._most) if length and self._most else self._most or length

    def __enter__(self) -> Source:
        if self.live and threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        if self._reader is not None:
            self._reader.close()

    def _stop(self, *_: object) -> None:
        """The first interrupt of a camera or stream is its end; the second one is an interrupt."""
        self._ended = "stopped"
        signal.signal(signal.SIGINT, self._handler)

    def __iter__(self) -> Iterator[Frame]:
        for frame in islice(iter(self._frames), self._most):
            if self._ended:
                return
            yield frame

    def until_lost(self, found: Iterable[Found]) -> Iterator[Found]:
        """Yields what was found; that a stream is lost for good is an end like any other, if it had begun."""
        count = 0
        try:
            for item in found:
                count += 1
                yield item
        except ConnectionError as error:
            if not count:
                raise
            self._ended = " ".join(str(error).split())
            log.warning("ended after %d frames: %s", count, self._ended)

    @property
    def busy_seconds(self) -> float:
        """Spent on reading and decoding."""
        return self._reader.busy_seconds if self._reader is not None else 0.0

    def told(self) -> dict[str, Any]:
        """Returns what a summary says of the source."""
        counts = {name: getattr(self._reader, name, 0) for name in ("broken", "lost", "dropped", "reopened")}
        truncated = bool(getattr(self._reader, "truncated", False))
        expected = self._reader.length if self._reader is not None and truncated else self.length
        whole = {"expected_frames": expected, "truncated": truncated}
        return {"frame_rate": self.frame_rate, **counts, **whole, **({"ended": self._ended} if self._ended else {})}
