"""Frames of a video file, a folder of images, a camera or a stream; writing is in `video_writer`.

Images of frames are BGR, as OpenCV reads them and as detectors, `Tracker` and `Embedder` take them by default.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mot_reid.data.images import SUFFIXES, decode
from mot_reid.data.motchallenge import read_sequence

_log = logging.getLogger(__name__)
_SCHEMES = ("rtsp://", "rtmp://", "http://", "https://", "udp://", "tcp://")
_BROKEN_IN_A_ROW = 30
_WAIT_SECONDS = 0.1
_HANG_SECONDS = 5.0
_ROUNDING_FRAMES = 0.1
_SILENT = 0  # OpenCV's LOG_LEVEL_SILENT


class Frame(NamedTuple):
    """One picture of a video.

    Attributes:
        number: From 1; broken frames keep their number, so that numbers agree with a ground truth.
        time_seconds: Since the first frame.
        image: (H, W, 3) uint8 BGR.
    """

    number: int
    time_seconds: float
    image: NDArray[np.uint8]


class _Source(Protocol):
    """Where frames come from; `read` is called in the reader's thread."""

    frame_rate: float
    length: int | None
    live: bool

    def read(self) -> Frame | None:
        """The next frame; None at the end. Raises _Broken for one that cannot be decoded."""

    def reopen(self) -> bool:
        """Connect again; False if that fails."""

    def close(self) -> None: ...


class _Broken(Exception):
    """A frame that cannot be decoded; the next one may."""


class VideoReader:
    """Frames of a source, decoded ahead by a thread while the caller works on earlier ones.

    A frame that cannot be decoded is counted in `broken` and skipped. Of a camera or stream the oldest waiting frame
    makes room for the newest when the caller is slower (counted in `dropped`), and a connection that is lost is opened
    again (counted in `reopened`).

    Args:
        source: A video file; a folder of images or a MOTChallenge sequence; a camera's index; an RTSP or HTTP address.
        ahead: Frames decoded ahead at most.
        frame_rate: Of a folder without seqinfo.ini; a file knows its own.
        attempts: How often a lost connection is opened again before giving up.

    Attributes:
        frame_rate: Frames per second; 30 where the source does not say.
        width: Pixels of the first frame.
        height: Pixels of the first frame.
        length: Number of frames as announced by the source, or None for a camera, a stream and files that do not say.
        busy_seconds: Spent on reading and decoding so far.

    Raises:
        FileNotFoundError: No such file or folder.
        ValueError: The source is no video, or has no frame.
        ConnectionError: While iterating: the camera or stream is lost for good.
    """

    def __init__(
        self, source: str | Path | int, *, ahead: int = 8, frame_rate: float | None = None, attempts: int = 5
    ) -> None:
        if ahead < 1:
            raise ValueError(f"ahead: got {ahead}; expected 1 or more frames")
        self.name = str(source)
        self.broken = 0
        self.dropped = 0
        self.reopened = 0
        self.busy_seconds = 0.0
        self._attempts = attempts
        self._stop = threading.Event()
        self._source = _open(source, frame_rate)
        first = self._next()
        if first is None:
            self._source.close()
            raise ValueError(f"video: got '{source}' without a frame that can be decoded; expected a video")
        self.frame_rate = self._source.frame_rate
        self.length = self._source.length
        self.height, self.width = first.image.shape[:2]
        self._ready: queue.Queue[Frame | Exception | None] = queue.Queue(maxsize=ahead)
        self._thread = threading.Thread(target=self._read, args=(first,), name="VideoReader", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        """The frames that were not taken yet; a source is read once."""
        while not self._stop.is_set():
            try:
                item = self._ready.get(timeout=_WAIT_SECONDS)
            except queue.Empty:
                continue
            if item is None:
                break
            if isinstance(item, Exception):
                raise item
            yield item
        self.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading and let the source go."""
        self._stop.set()
        self._thread.join(timeout=_HANG_SECONDS)
        if not self._thread.is_alive():  # a dead connection may hold it; the thread is a daemon
            self._source.close()

    def _read(self, first: Frame) -> None:
        """The thread: source to queue."""
        try:
            frame: Frame | None = first
            while frame is not None and not self._stop.is_set():
                self._put(frame)
                frame = self._next()
            self._put(None)
        except Exception as error:  # handed to the caller's thread
            self._put(error)

    def _put(self, item: Frame | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0 if self._source.live else _WAIT_SECONDS)
                return
            except queue.Full:
                if self._source.live:
                    self._drop_oldest()

    def _drop_oldest(self) -> None:
        try:
            self._ready.get_nowait()
            self.dropped += 1
        except queue.Empty:
            pass

    def _next(self) -> Frame | None:
        """The next good frame, over broken ones and lost connections; None at the end."""
        in_a_row = 0
        while in_a_row < _BROKEN_IN_A_ROW and not self._stop.is_set():
            start = time.perf_counter()
            try:
                frame = self._source.read()
            except _Broken as error:
                self.broken += 1
                in_a_row += 1
                _log.warning("%s: frame skipped: %s", self.name, error)
                continue
            finally:
                self.busy_seconds += time.perf_counter() - start
            if frame is not None or not self._source.live:
                return frame
            self._reconnect()
        if in_a_row:
            _log.warning("%s: ended after %d broken frames in a row", self.name, in_a_row)
        return None

    def _reconnect(self) -> None:
        for attempt in range(self._attempts):
            if self._stop.wait(min(5.0, _WAIT_SECONDS * 2**attempt)):
                return
            if self._source.reopen():
                self.reopened += 1
                _log.warning("%s: connection opened again", self.name)
                return
        raise ConnectionError(
            f"stream: lost '{self.name}' and could not open it again in {self._attempts} attempts; check the address"
        )


class Description(NamedTuple):
    """What a video file says of itself; nobody has looked at its frames.

    Attributes:
        width: Pixels; 0 where it does not say.
        height: Pixels; 0 where it does not say.
        frame_rate: Frames per second; 30 where it does not say.
        length: Number of frames, or None where it does not say.
    """

    width: int
    height: int
    frame_rate: float
    length: int | None


def describe_video(path: str | Path) -> Description:
    """What a video file says of itself, without decoding a frame.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is no video.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"video: got '{path}'; expected an existing file")
    source = _Capture(str(path), str(path))
    try:
        return Description(source.width, source.height, source.frame_rate, source.length)
    finally:
        source.close()


def frames(source: str | Path | int, *, frame_rate: float | None = None) -> Iterator[Frame]:
    """The frames of a source, as `VideoReader` gives them."""
    with VideoReader(source, frame_rate=frame_rate) as reader:
        yield from reader


def _open(source: str | Path | int, frame_rate: float | None) -> _Source:
    text = str(source)
    if isinstance(source, int) or text.isdecimal():
        return _Capture(int(text), f"camera {text}")
    if text.lower().startswith(_SCHEMES):
        return _Capture(text, text)
    path = Path(source)
    if path.is_dir():
        return _Images(path, frame_rate)
    if not path.is_file():
        raise FileNotFoundError(f"video: got '{source}'; expected an existing file, folder, camera index or address")
    return _Capture(str(path), text)


class _Images:
    """The images of a folder in the order of their names.

    A MOTChallenge sequence knows its folder and frame rate, and its images are named by their frame numbers.
    """

    live = False

    def __init__(self, folder: Path, frame_rate: float | None) -> None:
        sequence = None
        if (folder / "seqinfo.ini").is_file():
            sequence = read_sequence(folder)
            folder = folder / sequence.images
        elif (folder.parent / "seqinfo.ini").is_file():
            sequence = read_sequence(folder.parent)
        if not folder.is_dir():
            raise FileNotFoundError(f"video: got a sequence without its frames '{folder}'; expected a folder of images")
        self._paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        if not self._paths:
            raise ValueError(
                f"video: got the folder '{folder}' without images; expected {', '.join(sorted(SUFFIXES))} files"
            )
        self.frame_rate = frame_rate or (sequence.frame_rate if sequence else 30.0)
        self.length: int | None = len(self._paths)
        self._numbers = list(range(1, self.length + 1))
        if sequence:
            self._numbers = _numbers(self._paths)
            missing = set(range(1, sequence.length + 1)) - set(self._numbers)
            if missing:
                _log.warning(
                    "%s: %d of %d frames are missing, frame %d first",
                    folder,
                    len(missing),
                    sequence.length,
                    min(missing),
                )
        self._at = 0

    def read(self) -> Frame | None:
        if self._at == len(self._paths):
            return None
        self._at += 1
        number = self._numbers[self._at - 1]
        try:
            image = decode(self._paths[self._at - 1])
        except (OSError, ValueError) as error:
            raise _Broken(str(error)) from None
        return Frame(number, (number - 1) / self.frame_rate, np.ascontiguousarray(image[..., ::-1]))

    def reopen(self) -> bool:
        return False

    def close(self) -> None:
        pass


def _numbers(paths: list[Path]) -> list[int]:
    """Returns the frame numbers that the names are, or the places where they are no growing numbers from 1."""
    numbers = [int(path.stem) if path.stem.isdecimal() else 0 for path in paths]
    growing = all(before < after for before, after in pairwise([0, *numbers]))
    return numbers if growing else list(range(1, len(paths) + 1))


class _Capture:
    """A file, camera or stream through OpenCV. A camera is live, and a stream that announces no number of frames."""

    def __init__(self, address: str | int, name: str) -> None:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # one sentence of ours instead of FFmpeg's many
        self._address = address
        self._name = name
        self._capture = _capture(address)
        if not self._capture.isOpened():
            raise ValueError(
                f"video: got '{name}', which is no video that can be read; expected a video file or stream"
            )
        import cv2

        rate = self._capture.get(cv2.CAP_PROP_FPS)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frame_rate = float(rate) if 0 < rate < 1000 else 30.0
        self.length: int | None = None if isinstance(address, int) or count <= 0 else count
        # A file may announce no number, too, as browsers' recordings do; it ends all the same.
        self.live = self.length is None and not (isinstance(address, str) and Path(address).is_file())
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self._at = 0
        self._start: float | None = None
        self._last = -1.0

    def read(self) -> Frame | None:
        if not self._capture.grab():
            if self.length is not None and self._at < self.length:
                _log.warning("%s: ended after %d of %d frames", self._name, self._at, self.length)
            return None
        self._at += 1
        seconds = self._seconds()
        good, image = self._capture.retrieve()
        if not good or image is None:
            raise _Broken(f"frame {self._at} cannot be decoded")
        return Frame(self._at, seconds, image)

    def _seconds(self) -> float:
        """By the clock for live sources, else by the frame rate, or the file's time stamps where these say otherwise.

        Stamps are rounded in some formats (to a millisecond in .mkv), so those that agree are not taken literally.
        """
        import cv2

        now = time.monotonic() if self.live else self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        self._start = now if self._start is None else self._start
        seconds = now - self._start
        regular = (self._at - 1) / self.frame_rate
        if not self.live and abs(seconds - regular) * self.frame_rate < _ROUNDING_FRAMES:
            seconds = regular
        if seconds <= self._last:
            seconds = max(self._last + 1e-3, regular)
        self._last = seconds
        return seconds

    def reopen(self) -> bool:
        self._capture.release()
        self._capture = _capture(self._address)
        return bool(self._capture.isOpened())

    def close(self) -> None:
        self._capture.release()


def _capture(address: str | int) -> Any:
    """OpenCV's capture, opened without its remarks on standard error: whether it worked is told by us."""
    import cv2

    logs = getattr(cv2.utils, "logging", cv2)  # where OpenCV 5 and OpenCV 4 keep it
    level = logs.getLogLevel()
    logs.setLogLevel(_SILENT)
    try:
        return cv2.VideoCapture(address)
    finally:
        logs.setLogLevel(level)
