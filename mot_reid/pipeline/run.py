"""One job done: read, detect, track, draw, write, and sum up."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from mot_reid.arrays import Float32Array, FloatArray, Image
from mot_reid.data.tables import write_tracks
from mot_reid.data.video_writer import VideoWriter
from mot_reid.detection.onnx import OnnxDetector, is_onnx
from mot_reid.detection.public import PublicDetector
from mot_reid.detection.yolo import YoloDetector
from mot_reid.files import given_by
from mot_reid.pipeline.doing import Doing
from mot_reid.pipeline.embed_ahead import EmbedAhead
from mot_reid.pipeline.plan import Job
from mot_reid.pipeline.refining import Looks, mended, redraw, refuse_live
from mot_reid.pipeline.source import Source
from mot_reid.pipeline.steps import Detector, Step, Stopwatch, steps
from mot_reid.pipeline.summary import keep_tracks, summarise, to_table
from mot_reid.settings.adaptation import AdaptSettings
from mot_reid.settings.load import ConfigError
from mot_reid.settings.tracking import TrackSettings
from mot_reid.structures import Detections, Tracks, TrackTable
from mot_reid.tracking.score_level import least_high
from mot_reid.tracking.tracker import Tracker
from mot_reid.viewing.draw import Annotator

_log = logging.getLogger(__name__)

Progress = Callable[[int, int | None, Step], None]
"""Called after each frame with the frames done, the frames to expect and what is known of the frame; may raise."""

_DEFAULT_WEIGHTS = "yolov8s.pt"
_STAGES = ("detect", "associate", "embed", "draw", "write")


class EmbedderLike(Protocol):
    """What gives embeddings: an `Embedder`, or anything like it."""

    @property
    def threshold(self) -> float | None:
        """The calibrated cosine similarity of the same person."""

    def __call__(self, image: Image, xyxy: FloatArray) -> Float32Array:
        """Returns `(N, D)` unit vectors of `(N, 4)` boxes."""

    def many(self, images: Sequence[Image], xyxy: Sequence[FloatArray]) -> Sequence[Float32Array]:
        """Returns those of several images."""


def run(
    settings: TrackSettings,
    job: Job,
    *,
    progress: Progress | None = None,
    detector: Detector | None = None,
    embedder: EmbedderLike | None = None,
    doing: Doing | None = None,
) -> dict[str, Any]:
    """Tracks one source and writes what the job asks for; returns its summary.

    Args:
        settings: of the run.
        job: what is tracked and where the answers go.
        progress: called after each frame; what it raises ends the job, and nothing is written. (When a frame fails,
            or on an interrupt, the results of the frames before are written.)
        detector: one that is loaded already, in place of the settings'.
        embedder: one that is loaded already, in place of the model that the job names.
        doing: says what people do, where it is loaded already, in place of what the settings ask for.

    Raises:
        ConfigError: a setting makes no sense.
        FileNotFoundError, ValueError, ImportError: a source, model or package is missing or bad.
        OSError: results cannot be written; a video that cannot is left out with a warning.
        RuntimeError: the detector failed.
    """
    watch, found, doing = Stopwatch(), _Found(settings, job), doing or Doing(settings)
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
            ahead = EmbedAhead(reid.many, above=least_high(tracker.preset))
        looks = Looks(reid) if settings.refine else None
        if looks is not None:
            refuse_live(job.source, live=source.live)
        doing.refuse_live(job.source, live=source.live)
        annotate = build_annotator(settings, rate)
        video = _Video(stack, job.output, source.frame_rate) if job.output else None
        start = time.perf_counter()
        going = steps(source, finder, tracker, batch=settings.detector.batch, enrich=ahead, stopwatch=watch)
        try:
            for step in found.kept(source.until_lost(going)):
                found.frames.append((step.number, step.tracks))
                if looks is not None:
                    looks.add(step)
                elif video is not None and video.stopped is None:
                    with watch("draw"):
                        picture = annotate(step.image, step.tracks)
                    with watch("write"):
                        video.write(picture, step.number)
                if progress is not None:
                    progress(len(found.frames), source.length, step)
        except KeyboardInterrupt:
            found.keep("interrupted")
            raise
        told: dict[str, Any] = {}
        if looks is not None:
            found.whole, told = mended(to_table(found.frames), looks, settings.refine, frame_rate=rate)
        table, everything = found.table()
        if looks is not None and video is not None:
            again = Source(job.source, frame_rate=settings.tracker.frame_rate, max_frames=len(found.frames))
            redraw(stack.enter_context(again), table, annotate, video, watch)
        seconds = time.perf_counter() - start
        if video is not None:
            video.close()
    described = doing(table, job, frame_rate=rate)
    if job.results:
        _write(job.results, table, more=None if described is None else described.columns())
    frames = len(found.frames)
    summary = {"source": job.source, "preset": job.preset, **summarise(table, frames)}
    summary["tracks_left_out"] = summarise(everything, frames)["tracks"] - summary["tracks"]
    told |= {} if described is None else {"actions": described.summary()}
    told |= source.told() | (video.told() if video is not None else {})
    return summary | told | _speed(frames, seconds, watch, source.busy_seconds)


class _Found:
    """The tracks so far, which are not lost when a later frame fails."""

    def __init__(self, settings: TrackSettings, job: Job) -> None:
        self._settings, self._job = settings, job
        self.frames: list[tuple[int, Tracks]] = []
        self.whole: TrackTable | None = None  # refined

    def table(self) -> tuple[TrackTable, TrackTable]:
        """Returns the tracks that are worth keeping, and all of them."""
        everything = to_table(self.frames) if self.whole is None else self.whole
        chosen = self._settings
        return keep_tracks(everything, min_track_length=chosen.min_track_length, min_score=chosen.min_score), everything

    def kept(self, going: Iterator[Step]) -> Iterator[Step]:
        """Yields the steps; if one fails, the tracks of those before it are written first."""
        try:
            yield from going
        except (OSError, ValueError, RuntimeError):
            self.keep("failed")
            raise

    def keep(self, why: str) -> None:
        """Writes the tracks so far, if there are any and results are wanted."""
        if self.frames and self._job.results:
            _write(self._job.results, self.table()[0])
            _log.warning(
                "%s: %s after %d frames, whose tracks are kept in %s",
                self._job.name, why, len(self.frames), self._job.results,
            )  # fmt: skip


class _Video:
    """The annotated video, whose failure costs the video alone."""

    def __init__(self, stack: ExitStack, path: str, frame_rate: float) -> None:
        self._writer = stack.enter_context(VideoWriter(path, frame_rate=frame_rate))
        self._path, self._scaled = path, 0
        self.stopped: str | None = None

    def write(self, picture: Image, number: int) -> None:
        """Appends a picture; one of another size than the first is fitted in."""
        try:
            scaled = self._writer.write_fitted(picture)
        except OSError as error:
            self._stop(error, f" at frame {number}")
            return
        if scaled and not self._scaled:
            _log.warning(
                "%s: frame %d has another size (%d x %d) than the first; it is scaled to fit", self._path, number,
                picture.shape[1], picture.shape[0],
            )  # fmt: skip
        self._scaled += scaled

    def close(self) -> None:
        """Finishes the file."""
        try:
            self._writer.close()
        except OSError as error:
            self._stop(error, "")

    def told(self) -> dict[str, Any]:
        """Returns what a summary says of the video."""
        stopped = {} if self.stopped is None else {"video_stopped": self.stopped}
        return {"video_frames_scaled": self._scaled, **stopped}

    def _stop(self, error: OSError, where: str) -> None:
        self._writer.discard()
        self.stopped = " ".join(f"{error}".split())
        _log.warning(
            "%s: the annotated video could not be written%s: %s; tracking continues", self._path, where, self.stopped
        )


def _write(path: str, table: TrackTable, *, more: Mapping[str, Any] | None = None) -> None:
    try:
        write_tracks(path, table, more=more)
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"results: got '{path}' ({reason}); expected a file that can be written") from None


def build_detector(
    settings: TrackSettings | AdaptSettings, source: str, *, drawn: list[Detections] | None = None
) -> Detector:
    """Returns what finds people in a source.

    Args:
        settings: of the run.
        source: stands for {source} in `detector.public`.
        drawn: the boxes that come with the synthetic clip, used where no network is named.

    Raises:
        ConfigError: two detectors are named.
        FileNotFoundError, ValueError, ImportError: the one that is named cannot be had.
    """
    chosen = settings.detector
    if chosen.public is not None:
        if chosen.weights is not None:
            raise ConfigError("detector: got weights and public; expected one of them")
        with given_by("detector.public"):
            return PublicDetector(chosen.public.replace("{source}", source), min_score=chosen.min_score)
    if drawn is not None and chosen.weights is None:
        return PublicDetector(drawn, min_score=chosen.min_score)
    with given_by("detector.weights", instead_of="detector"):
        if chosen.kind is not None or is_onnx(chosen.weights or ""):
            return _onnx_detector(settings)
        return YoloDetector(
            chosen.weights or _DEFAULT_WEIGHTS, min_score=chosen.min_score, nms_iou=chosen.nms_iou,
            classes=chosen.classes, image_size=chosen.image_size, rectangular=chosen.rectangular,
            device=settings.device,
        )  # fmt: skip


def _onnx_detector(settings: TrackSettings | AdaptSettings) -> OnnxDetector:
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

        with given_by("reid"):
            given = Embedder(job.reid, device=settings.device, runtime=settings.runtime)
    return None if given is None else _TimedEmbedder(given, watch)


def _tracker(settings: TrackSettings, job: Job, frame_rate: float, *, reid: _TimedEmbedder | None) -> Tracker:
    try:
        parameters = settings.tracker.parameters(reid=reid is not None)
        return Tracker(job.preset, reid=reid, frame_rate=frame_rate, **parameters)
    except ValueError as error:
        raise ConfigError(f"tracker: {error}") from None


class _TimedEmbedder:
    """An embedder whose work is counted as the stage `embed`."""

    def __init__(self, embedder: EmbedderLike, watch: Stopwatch) -> None:
        self._embedder, self._watch = embedder, watch
        self.threshold = embedder.threshold

    def __call__(self, image: Image, xyxy: FloatArray) -> Float32Array:
        with self._watch("embed"):
            return self._embedder(image, xyxy)

    def many(self, images: Sequence[Image], xyxy: Sequence[FloatArray]) -> Sequence[Float32Array]:
        with self._watch("embed"):
            return self._embedder.many(images, xyxy)


def _speed(frames: int, seconds: float, watch: Stopwatch, decoding: float) -> dict[str, Any]:
    """Returns frames per second, of the whole and of each stage by itself; stages work at the same time."""
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
