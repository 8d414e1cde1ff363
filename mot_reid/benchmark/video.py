"""From video to tracks: milliseconds per frame of the whole, compared with the detector alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mot_reid.benchmark.results import Figure
from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video import VideoReader
from mot_reid.data.video_writer import VideoWriter
from mot_reid.detection.yolo import YoloDetector
from mot_reid.pipeline import run
from mot_reid.pipeline.plan import SYNTHETIC, Job
from mot_reid.settings.load import load_settings
from mot_reid.settings.tracker_parameters import default_preset
from mot_reid.settings.tracking import TrackSettings

_ROUNDS = 3


def measure(*, source: str | None, weights: str | None, reid: str, frames: int) -> Iterator[Figure]:
    """Yields the milliseconds per frame of `mot-reid track`, without and with appearance: the least of a few rounds.

    Args:
        source: a video; None draws one.
        weights: of a YOLO detector; None takes synthetic frames and boxes, and measures all but decoding and detection.
        reid: model for the run with appearance.
        frames: of the video that are used.
    """
    with tempfile.TemporaryDirectory() as folder:
        chosen = [f"max_frames={frames}"] + ([f"detector.weights={weights}"] if weights else [])
        settings = load_settings(TrackSettings, chosen, base="track")
        clip = (source or _drawn(Path(folder) / "walkers.mp4", frames)) if weights else SYNTHETIC
        bare = Job("clip", clip, "bytetrack", results=str(Path(folder) / "a.txt"))
        looks = Job("clip", clip, default_preset(reid), reid=reid, results=str(Path(folder) / "b.txt"))
        alone = _detector_alone(clip, weights, frames) if weights else None
        rounds = [(_milliseconds(settings, bare), _milliseconds(settings, looks)) for _ in range(_ROUNDS)]
    bound = "decoding and the detector alone"
    yield Figure("video/bytetrack", min(a for a, _ in rounds), "ms", alone, bound)
    yield Figure(f"video/{looks.preset}", min(b for _, b in rounds), "ms", alone, bound)
    if alone is not None:
        yield Figure("video/detector", alone, "ms")


def _milliseconds(settings: TrackSettings, job: Job) -> float:
    summary = run.run(settings, job)
    return 1e3 * float(summary["seconds"]) / int(summary["frames"])


def _detector_alone(source: str, weights: str, frames: int) -> float:
    """Milliseconds per frame of decoding and detection with as many threads as the detector is worth."""
    detector = YoloDetector(weights)
    with VideoReader(source) as reader, ThreadPoolExecutor(detector.workers) as pool:
        images = [frame.image for frame, _ in zip(reader, range(frames))]
        _detect(pool, detector, images[:10])
        return min(_detect(pool, detector, images) for _ in range(_ROUNDS)) + 1e3 * reader.busy_seconds / len(images)


def _detect(pool: ThreadPoolExecutor, detector: YoloDetector, images: Sequence) -> float:  # type: ignore[type-arg]
    start = time.perf_counter()
    list(pool.map(detector, images))
    return 1e3 * (time.perf_counter() - start) / len(images)


def _drawn(path: Path, frames: int) -> str:
    clip = walkers(frames=min(frames, 100))
    with VideoWriter(path, frame_rate=clip.frame_rate) as writer:
        for image in clip.images:
            writer.write(image)
    return str(path)
