"""Video files through PyAV: those that OpenCV's decoders lack (AV1), and what a container says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from mot_reid.arrays import Image

# No protocol but files, and no format that names other files, so that no video makes us open an address.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "avi,mov,matroska,mpeg,mpegts,flv,asf,ivf,ogg,h264,hevc,obu,m4v,mpegvideo,gif,mxf,nut,rm",
}
_LEAST_SECONDS = 0.5


class AvCapture:
    """Reads the pictures of a file with the methods of `cv2.VideoCapture` that our reader calls.

    Args:
        path: the file, absolute.

    Raises:
        ImportError: PyAV is not installed.
    """

    def __init__(self, path: str) -> None:
        import av

        self._errors: tuple[type[Exception], ...] = (av.FFmpegError, ValueError, EOFError, IndexError)
        self._file: Any = None
        self._frame: Any = None
        self.codec = ""
        try:
            self._file = av.open(path, options=_OPTIONS)
            self._stream: Any = self._file.streams.video[0]
            if self._stream.codec_context is None:
                raise ValueError("no decoder for the first video stream")
        except self._errors:
            self.release()
            return
        self._stream.thread_type = "AUTO"
        self.codec = str(self._stream.codec_context.name)
        self._frames = self._decoded()

    def isOpened(self) -> bool:
        """Whether the file has a video stream."""
        return self._file is not None

    def get(self, key: int) -> float:
        """Returns a property by OpenCV's number of it; 0 for those that are not known."""
        import cv2

        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate or 0
        seconds = stream.duration * stream.time_base if stream.duration else (self._file.duration or 0) / 1_000_000
        stamp = 0.0 if self._frame is None or self._frame.time is None else self._frame.time
        known = {
            cv2.CAP_PROP_FPS: rate,
            cv2.CAP_PROP_FRAME_COUNT: stream.frames or round(seconds * rate),
            cv2.CAP_PROP_FRAME_WIDTH: stream.codec_context.width,
            cv2.CAP_PROP_FRAME_HEIGHT: stream.codec_context.height,
            cv2.CAP_PROP_POS_MSEC: 1000 * (stamp - float((stream.start_time or 0) * stream.time_base)),
        }
        return float(known.get(key, 0))

    def grab(self) -> bool:
        """Decodes the next picture; false at the end, and for a packet that cannot be decoded."""
        self._frame = next(self._frames, None)
        return self._frame is not None

    def retrieve(self) -> tuple[bool, Image | None]:
        """Returns whether there is a picture, and the picture: (H, W, 3) uint8 BGR, upright."""
        if self._frame is None:
            return False, None
        image = self._frame.to_ndarray(format="bgr24")
        turns = round(getattr(self._frame, "rotation", 0) / 90) % 4
        return True, np.ascontiguousarray(np.rot90(image, turns))

    def release(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _decoded(self) -> Iterator[Any]:
        """Yields pictures, and None for each packet that cannot be decoded."""
        try:
            for packet in self._file.demux(self._stream):
                try:
                    yield from packet.decode()
                except self._errors:
                    yield None
        except self._errors:  # the file ends within a packet
            return


class Contents(NamedTuple):
    """What is in a video file.

    Attributes:
        packets: Number of encoded pictures.
        cut_off: Whether there is less than the header announces.
    """

    packets: int
    cut_off: bool


def look_through(path: str) -> Contents | None:
    """Returns what is in a file, without decoding it; None where PyAV is not installed or cannot open it."""
    try:
        import av
    except ImportError:
        return None
    try:
        with av.open(path, options=_OPTIONS) as file:
            stream = file.streams.video[0]
            announced, seconds = stream.frames, (file.duration or 0) / 1_000_000
            packets, reached = 0, 0.0
            try:
                for packet in file.demux():
                    packets += bool(packet.size) and packet.stream_index == stream.index
                    reached = max(reached, _end_of(packet))
            except av.FFmpegError:
                return Contents(packets, True)
    except (av.FFmpegError, IndexError, ValueError):
        return None
    early = reached < seconds - _LEAST_SECONDS
    return Contents(packets, packets < announced and (early or packets < announced - 1) if announced else early)


def _end_of(packet: Any) -> float:
    """Returns the second at which what is in a packet ends, from the beginning of its stream."""
    if packet.pts is None or not packet.time_base:
        return 0.0
    start = packet.stream.start_time or 0
    return float((packet.pts + (packet.duration or 0) - start) * packet.time_base)
