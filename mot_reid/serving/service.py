"""`Service`: all that the server can do, without HTTP. It owns the jobs, the workers with their models, a folder."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mot_reid.serve_schema import ServeSettings
from mot_reid.serving.content import HEAD_BYTES, video_format
from mot_reid.serving.embedding_files import Embedding
from mot_reid.serving.folder import FolderLock, size_of
from mot_reid.serving.gallery import Answer, Galleries, Person
from mot_reid.serving.live import LiveSession, LiveSessions
from mot_reid.serving.metrics import Metrics
from mot_reid.serving.refusal import Refusal, disk_refusal, stopping
from mot_reid.serving.runner import MOT, UPLOAD, VIDEO, Runner, tidy
from mot_reid.serving.schemas import Preset
from mot_reid.serving.store import ENDED, JobStore, State, StoredJob
from mot_reid.serving.tasks import serve_checks, serve_models
from mot_reid.serving.uploads import Uploads, random_id
from mot_reid.serving.workers import Worker, WorkerLost
from mot_reid.track_schema import TrackSettings

log = logging.getLogger(__name__)

Where = Literal["whole", "largest"] | Sequence[float]
"""Which person of an image is meant: all of it shows one, the largest that is found, or the one in x1, y1, x2, y2."""

_SWEEP_SECONDS = 600.0
_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the models are loaded.

    Attributes:
        ready: whether they are.
        facts: device, models and versions, once they are.
        problem: why they are not, where something is wrong.
    """

    ready: bool
    facts: dict[str, Any]
    problem: str | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who an image shows.

    Attributes:
        answer: who it is, which may be nobody known.
        xyxy: where the person was seen, in pixels; None for all of the image.
    """

    answer: Answer
    xyxy: list[float] | None


class Service:
    """Jobs, images, embeddings and live sessions, within the limits of the settings. Safe to call from any thread.

    Args:
        settings: of the server.
        tracking: how people are tracked; `reid` is that of `settings`.

    Attributes:
        limits: all limits.
        metrics: what Prometheus is told.
        uploads: receives files into the folder of the service.
        galleries: of known people; `enrol` and `search` below take images.
    """

    def __init__(self, settings: ServeSettings, tracking: TrackSettings) -> None:
        self.settings, self.limits = settings, settings.limits
        self.metrics = Metrics()
        self._tracking = replace(tracking, reid=settings.reid)
        self._folder = Path(settings.folder).resolve()
        self._folder_lock = FolderLock(self._folder)
        self._jobs_folder = self._folder / "jobs"
        self._jobs_folder.mkdir(exist_ok=True)
        self.uploads = Uploads(self._folder / "uploads", self.limits)
        self._store = JobStore(self._folder / "jobs.sqlite")
        self.galleries = Galleries(self._folder / "galleries", self.limits)
        models = (self._tracking, self.limits, settings.nice)
        workers = [Worker(f"jobs-{n}", serve_models, models) for n in range(1, self.limits.jobs + 1)]
        self._callers = [Worker(f"calls-{n}", serve_models, models) for n in range(1, self.limits.callers + 1)]
        self._checker = Worker("checks", serve_checks, (self.limits, settings.nice))
        self._job_workers = workers
        self._runner = Runner(self._store, workers, folder=self._jobs_folder, limits=self.limits, metrics=self.metrics)
        self._live = LiveSessions(self._callers, self.limits, self.metrics)
        self._calls = threading.BoundedSemaphore(self.limits.calls)
        self._turn = 0
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self.metrics.watch(self._store.counts, lambda: self._live.count)

    def start(self) -> None:
        """Takes up the jobs that were left, and begins to load the models; `readiness` tells when they are there."""
        queued, failed = self._store.recover(self.limits.attempts)
        if queued or failed:
            log.warning("jobs of a server that died", extra={"queued_again": queued, "failed": failed})
        self._sweep()
        self._runner.start()
        for worker in (self._checker, *self._callers):
            self._begin(worker.prepare, worker.name)
        self._begin(self._sweep_now_and_then, "sweeper")

    def stop_accepting(self) -> None:
        """Refuses new work from now on; what runs goes on."""
        self._closing.set()

    def close(self) -> None:
        """Ends: running jobs have `shutdown_seconds` to end, or wait for the next start."""
        self._closing.set()
        self._live.close_all()
        self._runner.stop(self.limits.shutdown_seconds)
        for worker in (self._checker, *self._callers):
            worker.close()
        for thread in self._threads:
            thread.join()
        self._store.close()
        self.galleries.close()
        self._folder_lock.release()
        log.info("service closed")

    @property
    def closing(self) -> bool:
        """Whether new work is refused since the server stops."""
        return self._closing.is_set()

    @property
    def default_preset(self) -> str:
        """Of those who name none: the one of the settings, else the best that the models allow."""
        return self._tracking.tracker.preset or ("bytetrack_reid" if self._tracking.reid else "bytetrack")

    def readiness(self) -> Readiness:
        """Returns whether the models are loaded, and which."""
        workers = (*self._callers, *self._job_workers)
        facts = self._callers[0].facts or {}
        problem = next((worker.problem for worker in workers if worker.problem), None)
        ready = all(worker.facts is not None for worker in (*workers, self._checker)) and not self.closing
        return Readiness(ready, facts if ready else {}, problem)

    @property
    def facts(self) -> dict[str, Any]:
        """What there is to tell of the models.

        Raises:
            Refusal: they are not loaded.
        """
        facts = self._callers[0].facts
        if facts is None:
            raise Refusal("busy", "server: the models are being loaded", retry_seconds=2)
        return facts

    # ---- jobs ---------------------------------------------------------------------------------------------------

    def submit_video(self, path: str | Path, *, preset: str | None = None, visualize: bool = False) -> StoredJob:
        """Queues a video to be tracked and returns its job.

        Args:
            path: of the video, which is moved into the folder of the job; where it is refused, it stays.
            preset: of the tracker; None is the service's.
            visualize: whether an annotated video is wanted.

        Raises:
            Refusal: it is no video that is taken, there is no room for it, or the server stops.
        """
        self._check_open()
        chosen = self._checked_preset(preset)
        with Path(path).open("rb") as file:
            if video_format(file.read(HEAD_BYTES)) is None:
                raise Refusal("unsupported", "video: got a file of another kind; expected AVI, MP4, MOV, MKV or WebM")
        facts = self._look_into(Path(path))
        self._check_room(Path(path).stat().st_size)
        id = random_id()
        folder = self._jobs_folder / id
        try:
            folder.mkdir()
            shutil.move(path, folder / UPLOAD)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise disk_refusal(error) from error
        if not self._store.add(
            id, preset=chosen, visualize=visualize, frames=facts["frames"], most_queued=self.limits.queue
        ):
            shutil.rmtree(folder, ignore_errors=True)
            raise Refusal("busy", f"queue: {self.limits.queue} jobs wait already; try again later", retry_seconds=60)
        self._runner.wake()
        return self.job(id)

    def job(self, id: str) -> StoredJob:
        """Returns a job as it stands.

        Raises:
            Refusal: there is none of that id.
        """
        job = self._store.get(id)
        if job is None:
            raise Refusal("not_found", "job: there is none of that id; it may have been deleted, or kept long enough")
        return job

    def jobs(self, *, state: State | None = None, most: int = 50, skip: int = 0) -> list[StoredJob]:
        """Returns jobs, the newest first.

        Args:
            state: of the jobs; None is any.
            most: how many.
            skip: how many newer ones are left out.
        """
        return self._store.newest(state=state, most=most, skip=skip)

    def cancel(self, id: str) -> StoredJob:
        """Ends a job that waits or runs, removes its files and returns it.

        Raises:
            Refusal: there is none of that id, or it has ended.
        """
        job = self.job(id)
        if not self._store.cancel(id):
            raise Refusal("conflict", f"job: it is {self.job(id).state}; expected one that waits or runs")
        self._runner.end(id)
        log.info("job cancelled", extra={"job": job.id})
        return self.job(id)

    def delete(self, id: str) -> None:
        """Forgets a job, with all its files; one that runs is ended.

        Raises:
            Refusal: there is none of that id.
        """
        self.job(id)
        self._store.delete(id)
        self._runner.end(id)
        log.info("job deleted", extra={"job": id})

    def video_path(self, id: str) -> Path:
        """Returns the annotated video of a job.

        Raises:
            Refusal: there is no such job, it is not done, or no video was asked for.
        """
        if not self.job(id).visualize:
            raise Refusal("not_found", "video: none was asked for; send visualize=true with the upload")
        return self._result(id, VIDEO)

    def mot_path(self, id: str) -> Path:
        """Returns the tracks of a job, in MOTChallenge's format.

        Raises:
            Refusal: there is no such job, or it is not done.
        """
        return self._result(id, MOT)

    # ---- short calls --------------------------------------------------------------------------------------------

    def track_image(self, path: str | Path, *, visualize: bool = False) -> dict[str, Any]:
        """Returns the people in an image: width, height and detections; with `visualize` also `jpeg`, in base64.

        Raises:
            Refusal: it is no image that is taken, or the server is busy.
        """
        answer: dict[str, Any] = self._call("track_image", str(path), visualize)
        self.metrics.frames.inc()
        return answer

    def embed(self, paths: list[Path], *, boxes: list[list[float]] | None = None) -> list[list[float]]:
        """Returns an embedding of unit length for each image, or for each box of one image.

        Args:
            paths: of the images.
            boxes: x1, y1, x2, y2 in pixels; None takes each image as one person.

        Raises:
            Refusal: an image is none that is taken, there is no Re-ID model, or the server is busy.
        """
        found: list[list[float]] = self._call("embed", [str(path) for path in paths], boxes)
        return found

    def enrol(self, gallery: str, name: str, paths: list[Path], *, where: Where = "whole") -> Person:
        """Adds images of a person to a gallery and returns the person.

        Args:
            gallery: its name; made where there is none.
            name: of the person, who is made where unknown.
            paths: of images that show that person.
            where: the person is in each image.

        Raises:
            Refusal: an image is none that is taken or shows nobody, a name is none, there would be too many, or there
                is no model.
        """
        seen = self._call("embed_people", [str(path) for path in paths], _listed(where))
        return self.galleries.enrol(gallery, name, _unit(seen["embedding"]), model=seen["model"])

    def search(self, gallery: str, path: Path, *, where: Where = "whole", threshold: float | None = None) -> Sighting:
        """Returns whom an image shows, which may be nobody known.

        Args:
            gallery: its name.
            path: of the image.
            where: the person is in it.
            threshold: the least similarity of the same person; None is the calibrated one.

        Raises:
            Refusal: the image is none that is taken or shows nobody, there is no such gallery, or no threshold.
        """
        self.galleries.persons(gallery)  # before anything is worked on
        seen = self._call("embed_people", [str(path)], _listed(where))
        least = seen["threshold"] if threshold is None else threshold
        if least is None:
            raise Refusal("invalid", "threshold: got none, and the model has no calibrated one; send one")
        embedding = _unit(seen["embedding"])[0]
        answer = self.galleries.search(gallery, embedding, model=seen["model"], threshold=least)
        return Sighting(answer, seen["xyxy"][0])

    def open_live(self, *, preset: str | None = None, frame_rate: float = 30.0) -> LiveSession:
        """Returns a new live session: frames in, tracks out.

        Args:
            preset: of the tracker; None is the service's.
            frame_rate: frames per second.

        Raises:
            Refusal: there are as many as there may be, or the server stops.
        """
        self._check_open()
        return self._live.open(self._checked_preset(preset), frame_rate)

    # ---- inside -------------------------------------------------------------------------------------------------

    def _call(self, task: str, *payload: Any) -> Any:
        """Has one of the callers do a task, in turn; too many that wait are refused."""
        self._check_open()
        if not self._calls.acquire(blocking=False):
            raise Refusal("busy", "server: too many requests wait already; try again soon", retry_seconds=2)
        try:
            self._turn += 1
            worker = self._callers[self._turn % len(self._callers)]
            seconds = self.limits.call_seconds
            return worker.do(task, *payload, seconds=seconds, wait_seconds=seconds)
        except WorkerLost as lost:
            raise Refusal("invalid", f"image: it could not be worked on: {lost}") from None
        finally:
            self._calls.release()

    def _look_into(self, path: Path) -> dict[str, Any]:
        seconds = self.limits.check_seconds
        try:
            facts: dict[str, Any] = self._checker.do(
                "check_video", str(path), seconds=seconds, wait_seconds=self.limits.call_seconds
            )
            return facts
        except WorkerLost as lost:
            raise Refusal("invalid", f"video: it could not be looked into: {lost}") from None

    def _check_open(self) -> None:
        if self.closing:
            raise stopping()

    def _check_room(self, more: int) -> None:
        if size_of(self._jobs_folder) + more > self.limits.stored_bytes:
            raise Refusal("disk_full", "storage: the server keeps as much as it may; delete jobs, or try again later")

    def _checked_preset(self, preset: str | None) -> str:
        chosen = preset or self.default_preset
        if chosen not in get_args(Preset):
            raise Refusal("invalid", f"preset: got '{chosen[:40]}'; expected one of {', '.join(get_args(Preset))}")
        if chosen == "bytetrack_reid" and self._tracking.reid is None:
            raise Refusal("invalid", f"preset: got '{chosen}', but the server has no Re-ID model; choose another")
        return chosen

    def _result(self, id: str, name: str) -> Path:
        state = self.job(id).state
        if state != "done":
            raise Refusal("conflict", f"job: it is {state}; expected one that is done")
        path = self._jobs_folder / id / name
        if not path.is_file():
            raise Refusal("not_found", "job: it has no such file, as a video without frames")
        return path

    def _begin(self, target: Any, name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _sweep_now_and_then(self) -> None:
        while not self._closing.wait(_SWEEP_SECONDS):
            self._sweep()

    def _sweep(self) -> None:
        """Forgets jobs that were kept long enough, and removes files that belong to no job."""
        for id in self._store.expired(self.limits.stored_days * _DAY_SECONDS):
            self._store.delete(id)
        try:
            self.galleries.sweep()
        except Refusal as refusal:  # such as a file in use; the next time will do
            log.warning("galleries not swept", extra={"reason": refusal.sentence})
        for folder in self._jobs_folder.iterdir():
            job = self._store.get(folder.name)
            if job is None and time.time() - folder.stat().st_mtime < _SWEEP_SECONDS and self._threads:
                continue  # of an upload that is being queued
            if job is None or job.state in ENDED:
                tidy(folder, job)


def _listed(where: Where) -> str | list[float]:
    """Returns what a worker is told of where a person is."""
    if isinstance(where, str):
        return where
    if len(where) != 4:
        raise Refusal("invalid", f"box: got {len(where)} numbers; expected x1, y1, x2, y2")
    return [float(side) for side in where]


def _unit(rows: list[list[float]]) -> Embedding:
    """Returns embeddings of unit length again: a worker rounds the numbers that it sends."""
    found = np.asarray(rows, dtype=np.float64)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
