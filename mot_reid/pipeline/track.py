"""`track`: a video, a detector and a tracker, as objects or by their names, to the tracks of each frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from mot_reid.data.video import VideoReader
from mot_reid.detection.onnx import OnnxDetector, is_onnx
from mot_reid.detection.yolo import YoloDetector
from mot_reid.pipeline.steps import Detector, TrackerLike, steps
from mot_reid.settings.tracker_parameters import NEED_EMBEDDINGS, TRACKING_MODEL
from mot_reid.structures import Tracks
from mot_reid.tracking.tracker import Tracker


def track(
    frames: str | os.PathLike[str] | Iterable[Any],
    detector: str | os.PathLike[str] | Detector,
    tracker: str | TrackerLike,
    *,
    batch: int = 1,
) -> Iterator[Tracks]:
    """Yields the tracks of each frame, in order, as soon as they are known.

    Files and names are opened at once, so that a mistake in them is an error of the call.

    Args:
        frames: the path of a video or of a folder of images, a camera's index as text or a stream's address; or
            (H, W, 3) uint8 BGR images, or things with `image`, `number` and `time_seconds`, as `data.video.frames`
            gives them, whose times reach the tracker.
        detector: the path or name of a network: an `.onnx` file (`OnnxDetector`), or a model of Ultralytics such as
            "yolov8n.pt" (`YoloDetector`); or `image -> Detections` (or what `as_detections` takes). One that has
            `many(images)` is given `batch` images at once; one that has `at(number)` is asked by frame number.
        tracker: the name of a preset, which gets the frame rate of the video and, where it needs one, the bundled Re-ID
            model; or a `Tracker`, which goes on from where it stands.
        batch: frames that go through the detector together.

    Raises:
        FileNotFoundError: if there is no such video or network.
        ValueError: if a name is unknown, or a frame or a detection is not valid.
        ImportError: if what runs the network is not installed.
    """
    finder = _detector(detector) if isinstance(detector, (str, os.PathLike)) else detector
    if not isinstance(frames, (str, os.PathLike)):
        engine = _tracker(tracker, frame_rate=None) if isinstance(tracker, str) else tracker
        return (step.tracks for step in steps(frames, finder, engine, batch=batch))
    reader = VideoReader(os.fspath(frames))
    try:
        engine = _tracker(tracker, frame_rate=reader.frame_rate) if isinstance(tracker, str) else tracker
    except BaseException:
        reader.close()
        raise
    return _closing(reader, finder, engine, batch=batch)


def _closing(reader: VideoReader, detector: Detector, tracker: TrackerLike, *, batch: int) -> Iterator[Tracks]:
    """Yields the tracks of a video, which is closed at the end, or when nobody asks for more."""
    with closing(reader):
        for step in steps(reader, detector, tracker, batch=batch):
            yield step.tracks


def _detector(path: str | os.PathLike[str]) -> Detector:
    return OnnxDetector(path) if is_onnx(path) else YoloDetector(path)


def _tracker(preset: str, *, frame_rate: float | None) -> Tracker:
    """Returns the tracker of a name; bare images do not say their frame rate, which only the caller knows."""
    if frame_rate is None:
        raise ValueError(
            f"tracker: got the name '{preset}' for images without a frame rate; expected a video's path, or "
            f"Tracker('{preset}', frame_rate=...)"
        )
    reid = TRACKING_MODEL if preset in NEED_EMBEDDINGS else None
    return Tracker(preset, reid=reid, frame_rate=frame_rate)  # type: ignore[arg-type]
