"""What a file is, by its first bytes: never by its name or by what the client says of it."""

from __future__ import annotations

HEAD_BYTES = 1024
"""How much of a file `video_format` and `image_format` want to see."""

_TS_PACKETS = (188, 192)
_FTYP_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")


def video_format(head: bytes) -> str | None:
    """Returns FFmpeg's name of the container, or None for what is none of the containers that are taken.

    Playlists and scripts (HLS, DASH, concat, SDP), which would have FFmpeg open other files and addresses, are none.

    Args:
        head: the first `HEAD_BYTES` bytes, or all of a shorter file.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in _FTYP_ATOMS:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"\x00\x00\x01\xba":
        return "mpeg"
    if head[:4] == b"FLV\x01":
        return "flv"
    if head[:16] == bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"):
        return "asf"
    for size in _TS_PACKETS:
        start = size - 188
        if len(head) > start + 2 * size and all(head[start + n * size] == 0x47 for n in range(3)):
            return "mpegts"
    return None


def image_format(head: bytes) -> str | None:
    """Returns Pillow's name of the image format, or None for what is none of those that are taken.

    Args:
        head: the first `HEAD_BYTES` bytes, or all of a shorter file.
    """
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM":
        return "BMP"
    return None
