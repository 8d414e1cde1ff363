"""H.264 for browsers, notebooks and phones, which do not play what OpenCV's builds can write; by PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mot_reid.arrays import Image

_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
_ENCODER = "libx264"
_OPTIONS = {"preset": "veryfast", "crf": "23"}


class H264Writer:
    """Writes frames as OpenCV's writer does: `write`, then `release`.

    Args:
        path: Ends in .mp4, .m4v, .mov or .mkv.
        frame_rate: Frames per second.
        size: Width and height of the frames. H.264 has even ones only; the last row or column is doubled where needed.

    Raises:
        ImportError: PyAV is not installed, or its build has no encoder.
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, frame_rate: float, size: tuple[int, int]) -> None:
        import av

        if _ENCODER not in av.codecs_available:
            raise ImportError(f"av: this build has no {_ENCODER}")
        # The index in front lets a browser play the file while it still loads it.
        options = {"movflags": "faststart"} if path.suffix.lower() != ".mkv" else {}
        self._frame_of: Any = av.VideoFrame.from_ndarray
        with _failing():
            self._file = av.open(str(path), "w", format=_FORMATS[path.suffix.lower()], options=options)
        rate = Fraction(frame_rate).limit_denominator(100_000)
        stream: Any = self._file.add_stream(_ENCODER, rate=rate, options=_OPTIONS)
        self._missing = (size[1] % 2, size[0] % 2)
        stream.width, stream.height = size[0] + self._missing[1], size[1] + self._missing[0]
        stream.pix_fmt = "yuv420p"
        self._stream = stream

    def write(self, image: Image) -> None:
        """Appends a frame.

        Args:
            image: (H, W, 3) uint8 BGR, of the size of the first one.
        """
        if any(self._missing):
            image = np.pad(image, ((0, self._missing[0]), (0, self._missing[1]), (0, 0)), mode="edge")
        with _failing():
            self._file.mux(self._stream.encode(self._frame_of(image, format="bgr24")))

    def release(self) -> None:
        """Finishes the file."""
        with _failing():
            try:
                self._file.mux(self._stream.encode())
            finally:
                self._file.close()


@contextmanager
def _failing() -> Iterator[None]:
    """Turns FFmpeg's errors into the one that writers raise."""
    import av

    try:
        yield
    except av.FFmpegError as error:
        raise OSError(f"video output: it could not be written ({error}); is the disk full?") from error
