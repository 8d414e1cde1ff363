"""Several annotated videos side by side in one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mot_reid.data.video import VideoReader
from mot_reid.data.video_writer import VideoWriter
from mot_reid.viewing.draw import montage


def write_montage(path: Path, parts: Mapping[str, str]) -> Path:
    """Writes one video with several side by side; one that ends early keeps its last picture. Returns `path`.

    Args:
        path: of the new video.
        parts: a video for each name that is written above it; the first one's frame rate is kept.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(VideoReader(part)) for part in parts.values()]
        writer = stack.enter_context(VideoWriter(path, frame_rate=readers[0].frame_rate))
        frames = [iter(reader) for reader in readers]
        pictures: list[Any] = [None] * len(readers)
        while True:
            fresh = [next(iterator, None) for iterator in frames]
            if not any(fresh):
                return path
            pictures = [old if new is None else new.image for old, new in zip(pictures, fresh)]
            writer.write(montage(pictures, titles=list(parts)))
