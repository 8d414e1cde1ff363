"""One job done: read, detect, track, draw, write, and sum up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mot_reid.data.tables import write_tracks
from mot_reid.data.video_writer import VideoWriter
from mot_reid.detection.onnx import OnnxDetector
from mot_reid.detection.public import PublicDetector
from mot_reid.detection.yolo import YoloDetector
from mot_reid.pipeline.embed_ahead import EmbedAhead
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.source import Source
from mot_reid.pipeline.steps import Detector, Step, Stopwatch, steps
from mot_reid.pipeline.summary import keep_tracks, summarise, to_table
from mot_reid.settings.load import ConfigError
from mot_reid.settings.tracking import TrackSettings
from mot_reid.structures import Detections, TrackTable
from mot_reid.tracking.tracker import Tracker
from mot_reid.viewing.draw import Annotator

Image = NDArray[np.uint8]
Boxes = NDArray[np.floating[Any]]
Progress = Callable[[int, int | None, Step], None]
"""Called after each frame with the frames done, the frames to expect and what is known of the frame; may raise."""

_DEFAULT_WEIGHTS = "yolov8s.pt"
_STAGES = ("detect", "associate", "embed", "draw", "write")


class EmbedderLike(Protocol):
    """What gives embeddings: an `Embedder`, or anything like it."""

    @property
    def threshold(self) -> float | None:
        """The calibrated cosine similarity of the same person."""

    def __call__(self, image: Image, xyxy: Boxes) -> NDArray[np.float32]:
        """Returns `(N, D)` unit vectors of `(N, 4)` boxes."""

    def many(self, images: Sequence[Image], xyxy: Sequence[Boxes]) -> Sequence[NDArray[np.float32]]:
        """Returns those of several images."""


def run(
    settings: TrackSettings,
    job: Job,
    *,
    progress: Progress | None = None,
    detector: Detector | None = None,
    embedder: EmbedderLike | None = None,
) -> dict[str, Any]:
    """Tracks one source and writes what the job asks for; returns its summary.

    Args:
        settings: of the run.
        job: what is tracked and where the answers go.
        progress: told of each frame; what it raises ends the job, and nothing is written.
        detector: one that is loaded already, in place of the settings'.
        embedder: likewise, in place of the model that the job names.

    Raises:
        ConfigError: a setting makes no sense.
        FileNotFoundError, ValueError, ImportError: a source, model or package is missing or bad.
        OSError: an answer cannot be written.
    """
    watch, found = Stopwatch(), []
    with ExitStack() as stack:
        source = stack.enter_context(
            Source(job.source, frame_rate=settings.tracker.frame_rate, max_frames=settings.max_frames)
        )
        finder = detector or build_detector(settings, job.source, drawn=source.detections)
        rate = settings.tracker.frame_rate or source.frame_rate
        reid = _embedder(settings, job, embedder, watch)
        tracker = _tracker(settings, job, rate, reid=reid)
        ahead = None
        if reid is not None and settings.tracker.appearance == "always":
            ahead = EmbedAhead(reid.many, above=tracker.preset.bands.high)
        annotate = build_annotator(settings, rate)
        writer = stack.enter_context(VideoWriter(job.output, frame_rate=source.frame_rate)) if job.output else None
        start = time.perf_counter()
        going = steps(source, finder, tracker, batch=settings.detector.batch, enrich=ahead, stopwatch=watch)
        for step in source.until_lost(going):
            found.append((step.number, step.tracks))
            if writer is not None:
                with watch("draw"):
                    picture = annotate(step.image, step.tracks)
                with watch("write"):
                    writer.write(picture)
            if progress is not None:
                progress(len(found), source.length, step)
        seconds = time.perf_counter() - start
    everything = to_table(found)
    table = keep_tracks(everything, min_track_length=settings.min_track_length, min_score=settings.min_score)
    if job.results:
        _write(job.results, table)
    summary = {"source": job.source, "preset": job.preset, **summarise(table, len(found))}
    summary["tracks_left_out"] = summarise(everything, len(found))["tracks"] - summary["tracks"]
    return summary | source.told() | _speed(len(found), seconds, watch, source.busy_seconds)


def _write(path: str, table: TrackTable) -> None:
    try:
        write_tracks(path, table)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"results: got '{path}' ({reason}); expected a file that can be written") from None


def build_detector(settings: TrackSettings, source: str, *, drawn: list[Detections] | None = None) -> Detector:
    """Returns what finds people in a source.

    Args:
        settings: of the run.
        source: stands for {source} in `detector.public`.
        drawn: the boxes that come with the drawn clip, used where no network is named.

    Raises:
        ConfigError: two detectors are named.
        FileNotFoundError, ValueError, ImportError: the one that is named cannot be had.
    """
    chosen = settings.detector
    if chosen.public is not None:
        if chosen.weights is not None:
            raise ConfigError("detector: got weights and public; expected one of them")
        return PublicDetector(chosen.public.replace("{source}", source), min_score=chosen.min_score)
    if drawn is not None and chosen.weights is None:
        return PublicDetector(drawn, min_score=chosen.min_score)
    if chosen.kind is not None or (chosen.weights or "").endswith(".onnx"):
        return _onnx_detector(settings)
    return YoloDetector(
        chosen.weights or _DEFAULT_WEIGHTS, min_score=chosen.min_score, nms_iou=chosen.nms_iou, classes=chosen.classes,
        image_size=chosen.image_size, rectangular=chosen.rectangular, device=settings.device,
    )  # fmt: skip


def _onnx_detector(settings: TrackSettings) -> OnnxDetector:
    """Returns the detector of an ONNX file, or of an OpenVINO folder whose kind is named."""
    chosen = settings.detector
    if chosen.weights is None:
        raise ConfigError(f"detector.kind: got '{chosen.kind}' without weights; expected detector.weights=FILE.onnx")
    if chosen.rectangular:
        raise ConfigError(f"detector.rectangular: got true for '{chosen.weights}'; its size is fixed; leave it out")
    return OnnxDetector(
        chosen.weights, kind=chosen.kind, min_score=chosen.min_score, nms_iou=chosen.nms_iou, classes=chosen.classes,
        image_size=chosen.image_size, device=settings.device,
    )  # fmt: skip


def build_annotator(settings: TrackSettings, frame_rate: float) -> Annotator:
    """Returns what draws tracks on frames."""
    draw = settings.draw
    return Annotator(
        boxes=draw.boxes, ids=draw.ids, trails=draw.trails, scores=draw.scores, trail_seconds=draw.trail_seconds,
        frame_rate=frame_rate,
    )  # fmt: skip


def _embedder(settings: TrackSettings, job: Job, given: EmbedderLike | None, watch: Stopwatch) -> _TimedEmbedder | None:
    if given is None and job.reid is not None:
        from mot_reid.reid.embedder import Embedder

        given = Embedder(job.reid, device=settings.device)
    return None if given is None else _TimedEmbedder(given, watch)


def _tracker(settings: TrackSettings, job: Job, frame_rate: float, *, reid: _TimedEmbedder | None) -> Tracker:
    try:
        return Tracker(job.preset, reid=reid, frame_rate=frame_rate, **settings.tracker.parameters())
    except ValueError as error:
        raise ConfigError(f"tracker: {error}") from None


class _TimedEmbedder:
    """An embedder whose work is counted as the stage `embed`."""

    def __init__(self, embedder: EmbedderLike, watch: Stopwatch) -> None:
        self._embedder, self._watch = embedder, watch
        self.threshold = embedder.threshold

    def __call__(self, image: Image, xyxy: Boxes) -> NDArray[np.float32]:
        with self._watch("embed"):
            return self._embedder(image, xyxy)

    def many(self, images: Sequence[Image], xyxy: Sequence[Boxes]) -> Sequence[NDArray[np.float32]]:
        with self._watch("embed"):
            return self._embedder.many(images, xyxy)


def _speed(frames: int, seconds: float, watch: Stopwatch, decoding: float) -> dict[str, Any]:
    """Returns frames per second, of the whole and of each stage by itself; stages work beside each other."""
    spent = {"decode": decoding, **{stage: watch.seconds.get(stage, 0.0) for stage in _STAGES}}
    total = sum(spent.values())
    stages = {
        stage: {
            "milliseconds_per_frame": 1000 * used / max(frames, 1),
            "frames_per_second": frames / used,
            "share": used / total,
        }
        for stage, used in spent.items()
        if used > 0
    }
    return {"seconds": seconds, "frames_per_second": frames / max(seconds, 1e-9), "stages": stages}
