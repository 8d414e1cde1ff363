"""Tracks people in videos: `python tools/track.py source=video.mp4 output=annotated.mp4 results=tracks.txt`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.config import ConfigError, describe_settings, load_settings, parse_arguments
from mot_reid.track_schema import TrackSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mot_reid.data.video import Frame
    from mot_reid.tracking.pipeline import Detector, Stopwatch
    from mot_reid.tracking.tracker import Tracker

USAGE = """usage: python tools/track.py [source=VIDEO] [key=value ...] [config=my.yaml]

Finds people in videos and gives each an identity. Without a source it tracks a short drawn clip.
Several sources, presets (compare=) or both: output=, results= are folders then, or names with {name} in them.

Exit code: 0 done, 1 some sources failed, 2 a mistake in the arguments or every source failed, 130 interrupted.

keys (the value is that of configs/track.yaml):
"""
SYNTHETIC = "synthetic"
PATTERN = "*?["


@dataclass(frozen=True)
class Job:
    """One source, tracked with one preset, and where the answers go."""

    name: str
    source: str
    preset: str
    reid: str | None
    output: str | None
    results: str | None


def main(argv: Sequence[str]) -> int:
    """Tracks every source; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    _set_environment()
    try:
        if "help" in parse_arguments(argv):
            print(USAGE + describe_settings(TrackSettings, base="track"))
            return 0
        settings = load_settings(TrackSettings, argv, base="track")
        return _run(settings)
    except (OSError, ValueError, ImportError) as error:
        print(_line(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _run(settings: TrackSettings) -> int:
    """Plans the jobs, does them, writes what belongs to all of them; returns the exit code."""
    with ExitStack() as stack:
        folder = None
        if settings.montage and settings.output is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        jobs = plan(settings, folder)
        check_outputs(settings, jobs)
        done, failed = {}, {}
        for job, answer in do_all(settings, jobs):
            if isinstance(answer, str):
                failed[job.name] = answer
                print(answer if len(jobs) == 1 else f"{job.name}: {answer}", file=sys.stderr)
            else:
                done[job.name] = answer
                print(_told(job, answer))
        if settings.json is not None:
            write_json(Path(settings.json), done, failed)
        if settings.montage and done:
            parts = {job.name: job.output for job in jobs if job.name in done and job.output}
            print(f"montage      {write_montage(Path(settings.montage), parts)}")
    return 0 if not failed else 1 if done else 2


# ---- what is to be done -------------------------------------------------------------------------------------------


def plan(settings: TrackSettings, folder: str | None = None) -> list[Job]:
    """Returns a job for each source and preset, with names of their own.

    Args:
        settings: of the run.
        folder: where annotated videos go if `output` does not say.
    """
    from mot_reid.tracking.knobs import find_preset

    sources = [found for source in settings.source for found in _expanded(source)]
    preset = settings.tracker.preset or ("bytetrack_reid" if settings.reid else "bytetrack")
    presets = {chosen: find_preset(chosen) for chosen in (preset, *settings.compare)}
    if preset == "bytetrack_reid" and not settings.reid:
        raise ConfigError("tracker.preset: got 'bytetrack_reid' without a model; expected reid=PATH or reid=NAME")
    names = _names(sources)
    several = len(sources) * len(presets) > 1
    jobs = []
    for source, stem in zip(sources, names):
        for chosen in presets:
            name = f"{stem}-{chosen}" if len(presets) > 1 else stem
            # A comparison may include presets that have no use for the model.
            reid = settings.reid if len(presets) == 1 or presets[chosen].appearance else None
            output = _placed("output", settings.output or folder, name, ".mp4", several=several or folder is not None)
            results = _placed("results", settings.results, name, ".txt", several=several)
            jobs.append(Job(name, source, chosen, reid, output=output, results=results))
    return jobs


def _expanded(source: str) -> list[str]:
    """Returns the files that a pattern stands for; anything else as it is."""
    if not source:
        raise ConfigError("source: got nothing; expected a video file, a folder, a camera's index or an address")
    if not any(letter in source for letter in PATTERN) or "://" in source or Path(source).exists():
        return [source]
    found = sorted(glob(source))
    if not found:
        raise ConfigError(f"source: got '{source}', which no file matches; expected a pattern such as videos/*.mp4")
    return found


def _names(sources: Sequence[str]) -> list[str]:
    """Returns a short name for each source, no two the same."""
    names: list[str] = []
    for source in sources:
        path = Path(source)
        name = f"camera{source}" if source.isdecimal() else path.name if path.is_dir() else path.stem
        name = path.resolve().parent.name if name in ("img1", "") else name
        twins = sum(name == other.rpartition("~")[0] or name == other for other in names)
        names.append(f"{name}~{twins + 1}" if twins else name)
    return names


def _placed(key: str, given: str | None, name: str, ending: str, *, several: bool) -> str | None:
    """Returns the file of one job."""
    if given is None or "{name}" in given:
        return given and given.replace("{name}", name)
    if not several:
        return given
    if Path(given).suffix:
        raise ConfigError(f"{key}: got '{given}' for several results; expected a folder, or a name with {{name}} in it")
    return str(Path(given) / f"{name}{ending}")


def check_outputs(settings: TrackSettings, jobs: Sequence[Job]) -> None:
    """Refuses what could not be written in the end, before any work is done."""
    from mot_reid.data.tables import check_ending

    for job in jobs:
        if job.results:
            check_ending(job.results)
    given = {"json": [settings.json], "montage": [settings.montage]}
    given |= {key: [getattr(job, key) for job in jobs] for key in ("output", "results")}
    for key, paths in given.items():
        for path in (Path(path) for path in paths if path):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OSError(f"{key}: got '{path}' ({error.strerror}); expected a folder to write to") from None
            if path.is_dir() or not os.access(path.parent, os.W_OK):
                raise OSError(f"{key}: got '{path}', which cannot be written; choose another place")


# ---- doing it -----------------------------------------------------------------------------------------------------


def do_all(settings: TrackSettings, jobs: Sequence[Job]) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    """Yields each job as it ends, with its summary, or in one line why it failed."""
    if settings.engine == "ray":
        yield from _with_bar(_by_ray(settings, jobs), len(jobs))
    elif settings.workers > 1 and len(jobs) > 1:
        yield from _with_bar(_by_processes(settings, jobs), len(jobs))
    else:
        for job in jobs:
            yield job, do(settings, job, progress=True)


def _by_processes(settings: TrackSettings, jobs: Sequence[Job]) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    with ProcessPoolExecutor(settings.workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(do, settings, job): job for job in jobs}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                yield futures[future], "its process died; is there enough memory? try fewer workers"


def _by_ray(settings: TrackSettings, jobs: Sequence[Job]) -> Iterator[tuple[Job, dict[str, Any] | str]]:
    """One task for each job, on the cluster that Ray finds, or on this machine; `workers` at a time."""
    try:
        import ray
    except ImportError:
        raise ImportError('engine: ray is not installed; pip install "mot-reid[ray]"') from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    task = ray.remote(do)
    left = list(jobs)
    running: dict[Any, Job] = {}
    while left or running:
        while left and len(running) < settings.workers:
            job = left.pop(0)
            running[task.remote(settings, job)] = job
        for reference in ray.wait(list(running), num_returns=1)[0]:
            job = running.pop(reference)
            try:
                yield job, ray.get(reference)
            except Exception as error:  # Ray wraps whatever ended the task, a lost machine included
                yield job, _line(error)


def _with_bar(answers: Iterable[tuple[Job, Any]], total: int) -> Iterator[tuple[Job, Any]]:
    from tqdm import tqdm

    yield from tqdm(answers, total=total, unit="source", disable=None)


def do(settings: TrackSettings, job: Job, *, progress: bool = False) -> dict[str, Any] | str:
    """Tracks one source; returns its summary, or in one line why it failed."""
    try:
        return _track(settings, job, progress=progress)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        return _line(error)


def _track(settings: TrackSettings, job: Job, *, progress: bool) -> dict[str, Any]:
    """Reads, detects, tracks, draws and writes one source; returns its summary."""
    from mot_reid.data.tables import write_tracks
    from mot_reid.data.video import VideoWriter
    from mot_reid.tracking.pipeline import Stopwatch, steps
    from mot_reid.tracking.summary import keep_tracks, summarise, to_table
    from mot_reid.viewing.draw import Annotator

    watch, found = Stopwatch(), []
    with ExitStack() as stack:
        source = stack.enter_context(Source(settings, job))
        detector = _detector(settings, job, source)
        rate = settings.tracker.frame_rate or source.frame_rate
        tracker = _tracker(settings, job, rate, watch)
        draw = settings.draw
        annotate = Annotator(
            boxes=draw.boxes, ids=draw.ids, trails=draw.trails, scores=draw.scores,
            trail_seconds=draw.trail_seconds, frame_rate=rate,
        )  # fmt: skip
        writer = stack.enter_context(VideoWriter(job.output, frame_rate=source.frame_rate)) if job.output else None
        bar = stack.enter_context(_bar(job.name, source.length, progress))
        start = time.perf_counter()
        for step in source.until_lost(steps(source, detector, tracker, batch=settings.detector.batch, stopwatch=watch)):
            found.append((step.number, step.tracks))
            if writer is not None:
                with watch("draw"):
                    picture = annotate(step.image, step.tracks)
                with watch("write"):
                    writer.write(picture)
            bar.set_postfix(tracks=len(step.tracks), refresh=False)
            bar.update()
        seconds = time.perf_counter() - start
    everything = to_table(found)
    table = keep_tracks(everything, min_track_length=settings.min_track_length, min_score=settings.min_score)
    if job.results:
        write_tracks(job.results, table)
    summary = {"source": job.source, "preset": job.preset, **summarise(table, len(found))}
    summary["tracks_left_out"] = summarise(everything, len(found))["tracks"] - summary["tracks"]
    return summary | source.told() | _speed(len(found), seconds, watch, source.busy_seconds)


class Source:
    """The frames of a job: those of a `VideoReader`, or the drawn clip."""

    def __init__(self, settings: TrackSettings, job: Job) -> None:
        from mot_reid.data.video import Frame, VideoReader
        from mot_reid.data.walkers import walkers

        self._most = settings.max_frames
        self._handler: Any = None
        self.detections = None
        self._reader = None
        self._ended: str | None = None
        if job.source == SYNTHETIC:
            clip = walkers()
            self.frame_rate, self.detections = clip.frame_rate, clip.detections
            self._frames: Iterable[Frame] = [
                Frame(number, (number - 1) / clip.frame_rate, image) for number, image in enumerate(clip.images, 1)
            ]
            length: int | None = len(clip.images)
        else:
            self._frames = self._reader = VideoReader(job.source, frame_rate=settings.tracker.frame_rate)
            self.frame_rate, length = self._reader.frame_rate, self._reader.length
        self.live = length is None
        self.length = min(length, self._most) if length and self._most else self._most or length

    def __enter__(self) -> Source:
        if self.live and threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        if self._reader is not None:
            self._reader.close()

    def _stop(self, *_: object) -> None:
        """The first interrupt of a camera or stream is its end; the second one is an interrupt."""
        self._ended = "stopped"
        signal.signal(signal.SIGINT, self._handler)

    def __iter__(self) -> Iterator[Frame]:
        for frame in islice(iter(self._frames), self._most):
            if self._ended:
                return
            yield frame

    def until_lost(self, found: Iterable[Any]) -> Iterator[Any]:
        """Yields what was found; that a stream is lost for good is an end like any other, if it had begun."""
        count = 0
        try:
            for item in found:
                count += 1
                yield item
        except ConnectionError as error:
            if not count:
                raise
            self._ended = _line(error)
            logging.getLogger(__name__).warning("ended after %d frames: %s", count, self._ended)

    @property
    def busy_seconds(self) -> float:
        """Spent on reading and decoding."""
        return self._reader.busy_seconds if self._reader is not None else 0.0

    def told(self) -> dict[str, Any]:
        """Returns what the summary says of the source."""
        reader = self._reader
        counts = {name: getattr(reader, name, 0) for name in ("broken", "dropped", "reopened")}
        return {"frame_rate": self.frame_rate, **counts, **({"ended": self._ended} if self._ended else {})}


def _detector(settings: TrackSettings, job: Job, source: Source) -> Detector:
    from mot_reid.detection.public import PublicDetector
    from mot_reid.detection.yolo import YoloDetector

    chosen = settings.detector
    if chosen.public is not None:
        if chosen.weights is not None:
            raise ConfigError("detector: got weights and public; expected one of them")
        return PublicDetector(chosen.public.replace("{source}", job.source), min_score=chosen.min_score)
    if source.detections is not None and chosen.weights is None:
        return PublicDetector(source.detections, min_score=chosen.min_score)
    return YoloDetector(
        chosen.weights or "yolov8s.pt", min_score=chosen.min_score, nms_iou=chosen.nms_iou, classes=chosen.classes,
        image_size=chosen.image_size, device=settings.device,
    )  # fmt: skip


def _tracker(settings: TrackSettings, job: Job, frame_rate: float, watch: Stopwatch) -> Tracker:
    from mot_reid.tracking.tracker import Tracker

    reid = None if job.reid is None else TimedEmbedder(job.reid, settings.device, watch)
    try:
        return Tracker(job.preset, reid=reid, frame_rate=frame_rate, **settings.tracker.knobs())
    except ValueError as error:
        raise ConfigError(f"tracker: {error}") from None


class TimedEmbedder:
    """An `Embedder` whose work is counted as the stage `embed`."""

    def __init__(self, model: str, device: str, watch: Stopwatch) -> None:
        from mot_reid.reid.embedder import Embedder

        self._embedder, self._watch = Embedder(model, device=device), watch
        self.threshold = self._embedder.threshold

    def __call__(self, image: NDArray[np.uint8], xyxy: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        with self._watch("embed"):
            return self._embedder(image, xyxy)


def _bar(name: str, total: int | None, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(desc=name, total=total, unit="frame", disable=None if shown else True)


# ---- what is told -------------------------------------------------------------------------------------------------


def _speed(frames: int, seconds: float, watch: Stopwatch, decoding: float) -> dict[str, Any]:
    """Returns frames per second, of the whole and of each stage by itself; stages work beside each other."""
    spent = {"decode": decoding, **{stage: watch.seconds.get(stage, 0.0) for stage in STAGES}}
    spent["associate"] -= spent["embed"]
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


STAGES = ("detect", "associate", "embed", "draw", "write")


def _told(job: Job, summary: dict[str, Any]) -> str:
    """Returns a few lines for people."""
    left_out = summary["tracks_left_out"]
    lines = [
        f"{job.name}: {summary['tracks']} tracks in {summary['frames']} frames"
        + (f" ({left_out} short or unsure ones left out)" if left_out else ""),
        f"speed        {summary['frames_per_second']:.1f} frames/s; ms a frame: "
        + ", ".join(f"{name} {stage['milliseconds_per_frame']:.1f}" for name, stage in summary["stages"].items()),
    ]
    lines += [f"{name:<12} {path}" for name, path in (("results", job.results), ("video", job.output)) if path]
    return "\n".join(lines)


def write_json(path: Path, done: dict[str, dict[str, Any]], failed: dict[str, str]) -> None:
    """Writes the summaries of all sources, and why the others failed; the file appears whole or not at all."""
    totals = {name: sum(summary[name] for summary in done.values()) for name in ("frames", "tracks")}
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps({**totals, "sources": done, "failed": failed}, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def write_montage(path: Path, parts: dict[str, str]) -> Path:
    """Writes one video with several side by side, each under its name; one that ends early keeps its last picture."""
    from mot_reid.data.video import VideoReader, VideoWriter
    from mot_reid.viewing.draw import montage

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


def _set_environment() -> None:
    """Tells packages that are imported later how to behave."""
    # Ultralytics is not to tell its steps, nor to install packages on its own.
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    # OpenMP's idle threads otherwise spin on the cores that the detector works on: embedding took ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
