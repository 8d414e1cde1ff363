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
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mot_reid.data.av_video import AvCapture, look_through
from mot_reid.data.frame import BrokenFrameError
from mot_reid.data.frame import Frame as Frame
from mot_reid.data.frame_clock import FrameClock
from mot_reid.data.image_folder import ImageFolder
from mot_reid.data.images import SUFFIXES
from mot_reid.data.video_fault import codec_of, reason_of

_log = logging.getLogger(__name__)
_SCHEMES = ("rtsp://", "rtmp://", "http://", "https://", "udp://", "tcp://")
_BROKEN_IN_A_ROW = 30
_WAIT_SECONDS = 0.1
_HANG_SECONDS = 5.0
_SILENT = 0  # OpenCV's LOG_LEVEL_SILENT


class _Source(Protocol):
    """Where frames come from; `read` is called in the reader's thread."""

    frame_rate: float
    length: int | None
    live: bool
    truncated: bool

    @property
    def lost(self) -> int:
        """Frames that are missing so far."""

    def read(self) -> Frame | None:
        """The next frame; None at the end. Raises BrokenFrameError for one that cannot be decoded."""

    def reopen(self) -> bool:
        """Connect again; False if that fails."""

    def close(self) -> None: ...


class VideoReader:
    """Frames of a source, decoded ahead by a thread while the caller works on earlier ones.

    A frame that cannot be decoded is counted in `broken` and skipped, and one that is missing, as the time stamps of a
    file or the numbers of images say, in `lost`. Of a camera or stream the oldest waiting frame
    makes room for the newest when the caller is slower (counted in `dropped`), and a connection that is lost is opened
    again (counted in `reopened`).

    Args:
        source: A video file; a folder of images or a MOTChallenge sequence; a camera's index; an RTSP or HTTP address.
            What exists on disk is a file or folder, whatever its name looks like.
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
        if first is None and isinstance(self._source, _Capture) and not self._source.live:
            self._source.use_pyav()
            self.broken = 0
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

    @property
    def lost(self) -> int:
        """Frames that are missing so far."""
        return self._source.lost

    @property
    def truncated(self) -> bool:
        """Whether the file ended before the frames that it announces."""
        return self._source.truncated

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
            except BrokenFrameError as error:
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
    source = _Capture(os.path.abspath(path), str(path))
    try:
        return Description(source.width, source.height, source.frame_rate, source.length)
    finally:
        source.close()


def frames(source: str | Path | int, *, frame_rate: float | None = None) -> Iterator[Frame]:
    """The frames of a source, as `VideoReader` gives them."""
    with VideoReader(source, frame_rate=frame_rate) as reader:
        yield from reader


def _open(source: str | Path | int, frame_rate: float | None) -> _Source:
    """What exists on disk is a file or a folder; only then may a name be a camera's index or an address."""
    text = str(source)
    if not isinstance(source, int) and text:
        path = Path(source)
        if path.is_dir():
            return ImageFolder(path, frame_rate)
        if path.is_file():
            if path.suffix.lower() in SUFFIXES:
                return ImageFolder(path.parent, frame_rate, only=path)
            # Absolute: FFmpeg takes what stands before a colon, as in "12:30.mp4", for a protocol.
            return _Capture(os.path.abspath(path), text)
        if text.lower().startswith(_SCHEMES):
            return _Capture(text, text)
    if isinstance(source, int) or text.isdecimal():
        return _Capture(int(text), f"camera {text}")
    raise FileNotFoundError(f"video: got '{source}'; expected an existing file, folder, camera index or address")


class _Capture:
    """A file, camera or stream through OpenCV. A camera is live, and a stream that announces no number of frames."""

    def __init__(self, address: str | int, name: str) -> None:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # one sentence of ours instead of FFmpeg's many
        self._address = address
        self._name = name
        self._capture = _capture(address)
        if not self._capture.isOpened():
            self._capture = _pyav_or_none(address) or self._capture
        if not self._capture.isOpened():
            raise ValueError(
                f"video: got '{name}', which cannot be read as a video{reason_of(address)}; "
                "expected a video file or stream"
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
        self.truncated = False
        self._lost_at_the_end = 0
        self._clock = FrameClock(self.frame_rate)
        self._tried = 0
        self._begin: float | None = None

    @property
    def lost(self) -> int:
        return self._clock.lost + self._lost_at_the_end

    def use_pyav(self) -> None:
        """Begins again with PyAV, whose FFmpeg decodes more than OpenCV's.

        Raises:
            ValueError: PyAV is not installed, or cannot decode the file either.
        """
        codec = codec_of(self._capture)
        self._capture.release()
        try:
            self._capture = AvCapture(str(self._address))
        except ImportError:
            raise ValueError(
                f"video: got '{self._name}' in the codec {codec}, which OpenCV cannot decode here; "
                "expected H.264 or the like; pip install av, or convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
            ) from None
        if not self._capture.isOpened() or not self._capture.grab():
            self._capture.release()
            raise ValueError(
                f"video: got '{self._name}' in the codec {codec} without a frame that can be decoded; "
                "expected a whole video; copy it again, or convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
            )
        self._capture.release()
        self._capture = AvCapture(str(self._address))
        self._clock, self._tried = FrameClock(self.frame_rate), 0
        _log.info("%s: decoded through PyAV (%s)", self._name, codec)

    def read(self) -> Frame | None:
        failures = 0
        while not self._capture.grab():
            # Some versions of OpenCV fail once for each damaged frame and go on with the next.
            ended = self.length is not None and self._tried >= self.length
            failures += 1
            self._tried += 1
            if self.live or ended or failures > _BROKEN_IN_A_ROW:
                if not self.live:
                    self._end()
                return None
        self._tried += 1
        lost = self._clock.lost
        seconds = self._place(failures)
        good, image = self._capture.retrieve()
        if seconds is None:
            raise BrokenFrameError(f"a frame after frame {self._clock.number} comes out of order")
        if self._clock.lost > lost:
            _log.warning("%s: %d frames lost before frame %d", self._name, self._clock.lost - lost, self._clock.number)
        if not good or image is None:
            raise BrokenFrameError(f"frame {self._clock.number} cannot be decoded")
        return Frame(self._clock.number, seconds, image)

    def _place(self, failures: int) -> float | None:
        """The time of a frame that was grabbed: by the clock on the wall for live sources, else by its stamp."""
        import cv2

        if not self.live:
            return self._clock.place(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, failures=failures)
        now = time.monotonic()
        self._begin = now if self._begin is None else self._begin
        return self._clock.count(now - self._begin)

    def _end(self) -> None:
        """Compares what there was with what the file announced."""
        number = self._clock.number
        if not number or self.length is None or number >= self.length:
            return
        short = self.length - number
        contents = look_through(str(self._address))
        # Without PyAV: a number that is computed from the duration may be off by a few frames.
        self.truncated = short > max(1, self.length // 100) if contents is None else contents.cut_off
        # Else the last frames may be there and damaged.
        self._lost_at_the_end = short if self.truncated or contents is None else max(0, contents.packets - number)
        if self.truncated:
            _log.warning(
                "%s: truncated: ended after %d of %d frames; is the file complete?", self._name, number, self.length
            )
        elif self._lost_at_the_end:
            _log.warning("%s: the last %d frames cannot be decoded", self._name, self._lost_at_the_end)

    def reopen(self) -> bool:
        self._capture.release()
        self._capture = _capture(self._address)
        return bool(self._capture.isOpened())

    def close(self) -> None:
        self._capture.release()


def _capture(address: str | int) -> Any:
    """OpenCV's capture, opened without its remarks on standard error: we report ourselves whether it worked."""
    import cv2

    logs = getattr(cv2.utils, "logging", cv2)  # where OpenCV 5 and OpenCV 4 keep it
    level = logs.getLogLevel()
    logs.setLogLevel(_SILENT)
    try:
        return cv2.VideoCapture(address)
    finally:
        logs.setLogLevel(level)


def _pyav_or_none(address: str | int) -> AvCapture | None:
    """PyAV's capture of a file that OpenCV cannot open, where PyAV is installed."""
    if not (isinstance(address, str) and os.path.isfile(address)):
        return None
    try:
        return AvCapture(address)
    except ImportError:
        return None
