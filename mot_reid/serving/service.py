"""`Service`: all that the server can do, without HTTP. It owns jobs, galleries, and the workers with their models."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mot_reid.arrays import Float32Array
from mot_reid.serving.folder import FolderLock
from mot_reid.serving.galleries.gallery import Answer, Galleries, Person
from mot_reid.serving.jobs.job_store import StoredJob
from mot_reid.serving.jobs.video_jobs import SPARED_SECONDS, VideoJobs
from mot_reid.serving.live import LiveSession, LiveSessions
from mot_reid.serving.prometheus import Metrics
from mot_reid.serving.refusal import Refusal, stopping
from mot_reid.serving.site_people import SitePeople
from mot_reid.serving.sites import Camera, Sites
from mot_reid.serving.sweeper import Sweeper
from mot_reid.serving.weights import check_weights
from mot_reid.serving.worker.pool import Worker, WorkerLost
from mot_reid.serving.worker.tasks import serve_checks, serve_models
from mot_reid.settings.serving import ServeSettings
from mot_reid.settings.tracker_parameters import NEED_EMBEDDINGS, PRESET_NAMES, default_preset
from mot_reid.settings.tracking import TrackSettings

log = logging.getLogger(__name__)

Where = Literal["whole", "largest"] | Sequence[float]
"""Which person of an image is meant: all of it shows one, the largest that is found, or the one in x1, y1, x2, y2."""

_SWEEP_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can do what it is asked.

    Attributes:
        ready: whether the models are loaded and nothing is wrong.
        facts: device, models and versions, once it is ready.
        problem: what is wrong, in a sentence; None where nothing is.
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

    Raises:
        OSError: the folder cannot be used, or another server works in it.
        ValueError: the detector's weights can run code and are not trusted, or a database is damaged, in use, not ours,
            not reached, or written by a newer program.
        Refusal: the disk is full or fails.

    Attributes:
        limits: all limits.
        metrics: what Prometheus reads.
        folder: that uploads, results, galleries and the list of jobs are kept in.
        spared_seconds: how young files of nobody must be to stay, since another server may be receiving them.
        jobs: of videos; `submit_video` adds one.
        galleries: of known people; `enrol` and `search` below take images.
        sites: whose live sessions and videos share their people.
    """

    def __init__(self, settings: ServeSettings, tracking: TrackSettings) -> None:
        check_weights(tracking.detector.weights, pickled=settings.pickled_weights)
        self.settings, self.limits = settings, settings.limits
        self.metrics = Metrics()
        self._tracking = replace(tracking, reid=settings.reid)
        self.folder = Path(settings.folder).resolve()
        database = settings.database
        self._folder_lock = FolderLock(self.folder) if database is None else None
        self.spared_seconds = 0.0 if database is None else SPARED_SECONDS
        self.folder.mkdir(parents=True, exist_ok=True)
        self.galleries = Galleries(self.folder / "galleries", self.limits, database=database)
        models = (self._tracking, self.limits, settings.nice)
        self._job_workers = [Worker(f"jobs-{n}", serve_models, models) for n in range(1, self.limits.jobs + 1)]
        self._callers = [Worker(f"calls-{n}", serve_models, models) for n in range(1, self.limits.callers + 1)]
        self._checker = Worker("checks", serve_checks, (self.limits, settings.nice))
        self.jobs = VideoJobs(
            self.folder, self._job_workers, self._checker, limits=self.limits, metrics=self.metrics, database=database
        )
        spared = max(_SWEEP_SECONDS, self.spared_seconds)
        self._sweeper = Sweeper(
            {"jobs": lambda: self.jobs.sweep(spared_seconds=spared), "galleries": self.galleries.sweep},
            pause_seconds=_SWEEP_SECONDS,
        )
        sites = Sites(self.limits, max_false_links=tracking.max_false_links)
        self.sites = SitePeople(sites, self.jobs, self.galleries, lambda: self.facts)
        self._live = LiveSessions(self._callers, self.limits, self.metrics)
        self._calls = threading.BoundedSemaphore(self.limits.calls)
        self._turn = 0
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self.metrics.watch(self.jobs.counts, lambda: self._live.count, lambda: self.swept)

    def start(self) -> None:
        """Takes up the jobs that were left, and begins to load the models; `readiness` tells when they are there."""
        self.jobs.start()
        for worker in (self._checker, *self._callers):
            self._begin(worker.prepare, worker.name)
        self._sweeper.start()

    def stop_accepting(self) -> None:
        """Refuses new work from now on; what runs goes on."""
        self._closing.set()

    def close(self) -> None:
        """Ends: running jobs have `shutdown_seconds` to end, or wait for the next start."""
        self._closing.set()
        self._live.close_all()
        self.jobs.stop()
        for worker in (self._checker, *self._callers):
            worker.close()
        for thread in self._threads:
            thread.join()
        self._sweeper.stop()
        self.jobs.close()
        self.galleries.close()
        if self._folder_lock is not None:
            self._folder_lock.release()
        log.info("service closed")

    @property
    def closing(self) -> bool:
        """Whether new work is refused since the server stops."""
        return self._closing.is_set()

    @property
    def default_preset(self) -> str:
        """Of those who name none: the one of the settings, else the best that the models allow."""
        return self._tracking.tracker.preset or default_preset(self._tracking.reid)

    def readiness(self) -> Readiness:
        """Returns whether the models are loaded and nothing is wrong, and which models they are."""
        workers = (*self._callers, *self._job_workers)
        facts = self._callers[0].facts or {}
        problems = (*(worker.problem for worker in (*workers, self._checker)), self.jobs.problem, self._sweeper.problem)
        problem = next((told for told in problems if told), None)
        loaded = all(worker.facts is not None for worker in (*workers, self._checker))
        ready = loaded and problem is None and not self.closing
        return Readiness(ready, facts if ready else {}, problem)

    @property
    def swept(self) -> float:
        """When old jobs and people were last removed, in seconds since 1970."""
        return self._sweeper.succeeded

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

    def submit_video(
        self,
        path: str | Path,
        *,
        preset: str | None = None,
        visualize: bool = False,
        listed: bool = True,
        site: str | None = None,
    ) -> StoredJob:
        """Queues a video to be tracked and returns its job.

        Args:
            path: of the video, which is moved into the folder of the job; where it is refused, it stays.
            preset: of the tracker; None is the service's.
            visualize: whether an annotated video is wanted.
            listed: whether lists of jobs show it.
            site: name of the site whose videos and live sessions share their people; None: the video is alone.

        Raises:
            Refusal: it is no video that is taken, there is no room for it, the site cannot be, or the server stops.
        """
        self._check_open()
        chosen = self._checked_preset(preset)
        if site is not None:
            self.sites.open(site)
        return self.jobs.submit(Path(path), preset=chosen, visualize=visualize, listed=listed, site=site)

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

    def delete_person(self, gallery: str, id: str) -> None:
        """Forgets a person of a gallery, there and at all sites.

        Args:
            gallery: its name.
            id: of the person.

        Raises:
            Refusal: there is no such person.
        """
        self.sites.forget_known(gallery, id)
        self.galleries.delete_person(gallery, id)

    def delete_gallery(self, gallery: str) -> None:
        """Forgets a gallery with everybody in it, whom the sites forget, too.

        Args:
            gallery: its name.

        Raises:
            Refusal: there is no such gallery.
        """
        self.sites.forget_known(gallery)
        self.galleries.delete_gallery(gallery)

    def open_live(
        self,
        *,
        preset: str | None = None,
        frame_rate: float = 30.0,
        site: str | None = None,
        gallery: str | None = None,
    ) -> LiveSession:
        """Returns a new live session: frames in, tracks out.

        Args:
            preset: of the tracker; None is the service's.
            frame_rate: frames per second.
            site: name of the site whose sessions and videos share their people; None: the session is alone.
            gallery: whose people are called by their names; needs a site. None: nobody is named.

        Raises:
            Refusal: there are as many as there may be, the site or gallery cannot be, or the server stops.
        """
        self._check_open()
        chosen = self._checked_preset(preset)
        if site is None and gallery is not None:
            raise Refusal("invalid", f"gallery: got '{gallery[:80]}' without a site; expected both; add site=")
        called = None if gallery is None else self.sites.names(gallery)
        camera = None if site is None else Camera(self.sites.open(site), called)
        return self._live.open(chosen, frame_rate, camera)

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
            raise Refusal("invalid", f"image: it could not be processed: {lost}") from None
        finally:
            self._calls.release()

    def _check_open(self) -> None:
        if self.closing:
            raise stopping()

    def _checked_preset(self, preset: str | None) -> str:
        chosen = preset or self.default_preset
        if chosen not in PRESET_NAMES:
            raise Refusal("invalid", f"preset: got '{chosen[:40]}'; expected one of {', '.join(PRESET_NAMES)}")
        if chosen in NEED_EMBEDDINGS and self._tracking.reid is None:
            raise Refusal("invalid", f"preset: got '{chosen}', but the server has no Re-ID model; choose another")
        return chosen

    def _begin(self, target: Any, name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def _listed(where: Where) -> str | list[float]:
    """Returns how a worker is told where a person is."""
    if isinstance(where, str):
        return where
    if len(where) != 4:
        raise Refusal("invalid", f"box: got {len(where)} numbers; expected x1, y1, x2, y2")
    return [float(side) for side in where]


def _unit(rows: list[list[float]]) -> Float32Array:
    """Returns embeddings of unit length again: a worker rounds the numbers that it sends."""
    found = np.asarray(rows, dtype=np.float64)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
