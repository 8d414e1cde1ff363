"""A video file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mot_reid.arrays import Image
from mot_reid.data.h264 import H264Writer
from mot_reid.files import check_writable

_CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}


class VideoWriter:
    """Writes a video that gets its name only when it is complete.

    Used as a context manager; if the block fails, nothing is left. The size is that of the first frame.

    Args:
        path: The file: .mp4, .m4v, .mov, .mkv (H.264 where PyAV is installed, which browsers play; else MPEG-4, which
            they do not) or .avi (Motion JPEG).
        frame_rate: Frames per second.

    Raises:
        ValueError: Another ending, or a frame rate that is not above 0.
        OSError: The folder cannot be written.
    """

    def __init__(self, path: str | Path, *, frame_rate: float) -> None:
        self._path = Path(path)
        if self._path.suffix.lower() not in _CODECS:
            raise ValueError(f"video output: got '{path}'; expected a name ending in {', '.join(_CODECS)}")
        if not 0 < frame_rate < float("inf"):
            raise ValueError(f"frame_rate: got {frame_rate}; expected a number above 0")
        check_writable(path, "video output")
        # Absolute: FFmpeg takes what stands before a colon in a name for a protocol.
        self._part = self._path.absolute().with_name(f".{self._path.stem}.{os.getpid()}.part{self._path.suffix}")
        self._frame_rate = frame_rate
        self._size: tuple[int, int] | None = None
        self._writer: Any = None
        self.frames = 0

    def write(self, image: Image) -> None:
        """Append a frame.

        Args:
            image: (H, W, 3) uint8 BGR, of the size of the first one.

        Raises:
            ValueError: Another size or type.
            OSError: The encoder cannot be opened.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"video frame: got {image.dtype}{list(image.shape)}; expected uint8 (H, W, 3)")
        size = (image.shape[1], image.shape[0])
        if self._writer is None:
            self._writer, self._size = self._open(size), size
        if size != self._size:
            raise ValueError(f"video frame: got {size[0]}x{size[1]}; expected {self._size} as in the first frame")
        self._writer.write(np.ascontiguousarray(image))
        self.frames += 1

    def write_fitted(self, image: Image) -> bool:
        """Append a frame of any size; one unlike the first is scaled to fit, its shape kept, on black.

        Args:
            image: (H, W, 3) uint8 BGR.

        Returns:
            Whether it was scaled.

        Raises:
            ValueError: Another type.
            OSError: The encoder cannot be opened.
        """
        if self._size is None or image.ndim != 3 or (image.shape[1], image.shape[0]) == self._size:
            self.write(image)
            return False
        import cv2

        wide, tall = self._size
        scale = min(wide / image.shape[1], tall / image.shape[0])
        size = (min(wide, max(1, round(image.shape[1] * scale))), min(tall, max(1, round(image.shape[0] * scale))))
        left, top = (wide - size[0]) // 2, (tall - size[1]) // 2
        sheet = np.zeros((tall, wide, 3), dtype=np.uint8)
        sheet[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        self.write(sheet)
        return True

    def close(self) -> None:
        """Finish the file and give it its name; without frames there is none.

        Raises:
            OSError: The file was not written, as on a full disk.
        """
        if self._writer is None:
            return
        try:
            self._writer.release()
        except OSError:
            self.discard()
            raise
        self._writer = None
        if not self._part.is_file() or not self._part.stat().st_size:
            self.discard()
            raise OSError(f"video output: '{self._path}' could not be written; is the disk full?")
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Stop, and leave nothing."""
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.release()
            self._writer = None
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _open(self, size: tuple[int, int]) -> Any:
        codec = _CODECS[self._path.suffix.lower()]
        if codec == "mp4v":
            with contextlib.suppress(ImportError):
                return H264Writer(self._part, self._frame_rate, size)
        import cv2

        writer = cv2.VideoWriter(str(self._part), cv2.VideoWriter.fourcc(*codec), self._frame_rate, size)
        if not writer.isOpened():
            self._part.unlink(missing_ok=True)
            raise OSError(
                f"video output: '{self._path}' cannot be encoded at {size[0]}x{size[1]}; choose another ending"
            )
        return writer
