"""Why is a video none that can be read? What its first bytes and its codec say."""

from __future__ import annotations

import os
from typing import Any

from mot_reid.data.av_video import AvCapture

_CODECS = {"AV01": "AV1", "av1": "AV1", "libdav1d": "AV1", "vvc1": "H.266", "vvc": "H.266", "hev1": "H.265"}


def codec_of(capture: Any) -> str:
    """Returns the codec of an open file as people call it."""
    import cv2

    if isinstance(capture, AvCapture):
        return _CODECS.get(capture.codec, capture.codec)
    code = max(0, int(capture.get(cv2.CAP_PROP_FOURCC))).to_bytes(8, "little")[:4]
    name = code.decode("ascii", "replace").strip("\0 ") or "unknown"
    return _CODECS.get(name, name)


def reason_of(address: str | int) -> str:
    """Returns why a file cannot be read, in brackets, as far as its first bytes say; else an empty text."""
    if not (isinstance(address, str) and os.path.isfile(address)):
        return ""
    with open(address, "rb") as file:
        head = file.read(12)
        if not head:
            return " (it is empty)"
        if head[4:8] == b"ftyp" and not _has_index(file, os.path.getsize(address)):
            return " (an MP4 without its index, as one that was cut off while it was recorded or copied)"
    return ""


def _has_index(file: Any, size: int) -> bool:
    """Whether the boxes of an MP4 file include `moov`."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if kind == b"moov":
            return True
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            return False
        at += length
    return False
