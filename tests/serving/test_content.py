"""What a file is, by its first bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mot_reid.data.video_writer import VideoWriter
from mot_reid.serving.content import HEAD_BYTES, image_format, video_format


@pytest.mark.parametrize(
    ("ending", "format"), [(".avi", "avi"), (".mp4", "mov"), (".mov", "mov"), (".m4v", "mov"), (".mkv", "matroska")]
)
def test_written_videos_are_recognised(ending: str, format: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    with VideoWriter(path, frame_rate=10) as writer:
        for _ in range(3):
            writer.write(np.zeros((32, 32, 3), dtype=np.uint8))
    head = path.read_bytes()[:HEAD_BYTES]
    assert video_format(head) == format and image_format(head) is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_written_images_are_recognised(format: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, format)
    head = buffer.getvalue()[:HEAD_BYTES]
    assert image_format(head) == format and video_format(head) is None


@pytest.mark.parametrize(
    ("head", "format"),
    [
        (b"\0\0\1\xba" + b"\0" * 20, "mpeg"),
        (b"FLV\1\5", "flv"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
        ((b"\x47" + b"\0" * 187) * 5, "mpegts"),
        ((b"\0\0\0\0\x47" + b"\0" * 187) * 5, "mpegts"),
        (b"\x47" + b"\0" * 1000, None),
        (b"#EXTM3U\n", None),
        (b"ffconcat version 1.0\n", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"GIF89a", None),
        (b"", None),
    ],
)
def test_other_heads(head: bytes, format: str | None) -> None:
    assert video_format(head) == format and image_format(head) is None
