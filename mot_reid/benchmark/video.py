"""From video to tracks: milliseconds per frame of the whole, compared with the detector alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from mot_reid.benchmark.results import Figure
from mot_reid.data.synthetic_clip import walkers
from mot_reid.data.video import VideoReader
from mot_reid.data.video_writer import VideoWriter
from mot_reid.detection.yolo import YoloDetector
from mot_reid.pipeline import run
from mot_reid.pipeline.plan import SYNTHETIC, Job
from mot_reid.reid import checkpoint
from mot_reid.reid.fastest import at_hand
from mot_reid.settings.load import load_settings
from mot_reid.settings.tracker_parameters import default_preset
from mot_reid.settings.tracking import TrackSettings

_ROUNDS = 3


def measure(*, source: str | None, weights: str | None, reid: str, frames: int) -> Iterator[Figure]:
    """Yields the milliseconds per frame of `mot-reid track`, without and with appearance: the least of a few rounds.

    With appearance both as the runtime is chosen by itself, and with each one at hand.

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
        runs = {"bytetrack": (settings, bare), str(looks.preset): (settings, looks)}
        for runtime in _runtimes(reid):
            runs[f"{looks.preset}_{runtime}"] = (replace(settings, runtime=runtime), looks)
        least = dict.fromkeys(runs, float("inf"))
        alone = float("inf") if weights else None
        for _ in range(_ROUNDS):  # in turns, so that other work on the machine slows all of them
            if weights and alone is not None:
                alone = min(alone, _detector_alone(clip, weights, frames))
            least = {name: min(least[name], _milliseconds(*one)) for name, one in runs.items()}
    for name, milliseconds in least.items():
        yield Figure(f"video/{name}", milliseconds, "ms", alone, "decoding and the detector alone")
    if alone is not None:
        yield Figure("video/detector", alone, "ms")


def _runtimes(reid: str) -> list[str]:
    """Returns what can run a model; nothing of a file that has its own runtime."""
    path = checkpoint.find(reid)
    return [] if path.suffix in (".onnx", ".xml") else ["torch", *at_hand(path)]


def _milliseconds(settings: TrackSettings, job: Job) -> float:
    summary = run.run(settings, job)
    return 1e3 * float(summary["seconds"]) / int(summary["frames"])


def _detector_alone(source: str, weights: str, frames: int) -> float:
    """Milliseconds per frame of decoding and detection with as many threads as the detector is worth."""
    detector = YoloDetector(weights)
    with VideoReader(source) as reader, ThreadPoolExecutor(detector.workers) as pool:
        images = [frame.image for frame, _ in zip(reader, range(frames))]
        _detect(pool, detector, images[:10])
        return _detect(pool, detector, images) + 1e3 * reader.busy_seconds / len(images)


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
