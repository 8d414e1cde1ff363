"""Works the queue off: a thread and a worker process for each job at a time."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mot_reid.serving.jobs.job_store import JobStore, StoredJob
from mot_reid.serving.looks import LOOKS, SITE
from mot_reid.serving.prometheus import Metrics
from mot_reid.serving.refusal import Refusal, sentence_of
from mot_reid.serving.worker.pool import Worker, WorkerLost
from mot_reid.settings.serving import Limits

log = logging.getLogger(__name__)

Noted = TypeVar("Noted")

UPLOAD, VIDEO, MOT = "upload", "annotated.mp4", "tracks.txt"
"""The names of a job's files in its folder."""

_IDLE_SECONDS = 5.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_NOTE_SECONDS = 1.0


class Runner:
    """Takes jobs from the store, one for each worker, and notes how they go and end.

    Args:
        store: of the jobs.
        workers: with the task `track_video`.
        folder: holds a folder for each job.
        limits: of the service.
        metrics: counts frames, seconds and failures.

    Attributes:
        problem: why nothing can be noted of jobs at present, in a sentence; None where it can.
    """

    def __init__(
        self, store: JobStore, workers: Sequence[Worker], *, folder: Path, limits: Limits, metrics: Metrics
    ) -> None:
        self._store, self._workers, self._folder = store, workers, folder
        self._limits, self._metrics = limits, metrics
        self._changed = threading.Condition()
        self._running: dict[str, Worker] = {}
        self._stopping = False
        self.problem: str | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(worker,), name=worker.name, daemon=True) for worker in workers
        ]

    def start(self) -> None:
        """Begins to work."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Tells that there is a new job."""
        with self._changed:
            self._changed.notify_all()

    def end(self, id: str) -> None:
        """Stops the work on a job that the store has as ended or does not have any more, and removes its files."""
        with self._changed:
            worker = self._running.get(id)
            if worker is not None:
                worker.kill()
                return  # its thread removes the files when the process is gone
        shutil.rmtree(self._folder / id, ignore_errors=True)

    def stop(self, seconds: float) -> None:
        """Begins no further job, and puts those that do not end within some seconds back into the queue."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(end - time.monotonic(), 0))
        for worker in self._workers:
            worker.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self, worker: Worker) -> None:
        """The life of one thread: no error ends it, since nobody else would do the jobs of its worker."""
        worker.prepare()
        while not self._stopping:
            try:
                if self._do_next(worker):
                    continue
            except Refusal as refusal:
                self._note_problem(refusal)
            except Exception:
                log.exception("no job begun")
            self._pause(_IDLE_SECONDS)

    def _do_next(self, worker: Worker) -> bool:
        """Does the job that has waited longest; False where there was nothing to do."""
        job = self._claim(worker)
        if job is None:
            return False
        try:
            self._do(job, worker)
        except Exception:  # a fault of the program, not of the job; the next one is not to blame
            log.exception("job not done", extra={"job": job.id})
            self._fail(job, "job: the server failed at this; its log has the reason")
        finally:
            with self._changed:
                del self._running[job.id]
        return True

    def _pause(self, seconds: float) -> None:
        with self._changed:
            if not self._stopping:
                self._changed.wait(seconds)

    def _persist(self, note: Callable[[], Noted]) -> Noted | None:
        """Returns what noting something of a job gave. A full disk or a database in use is waited for: the job is done.

        None where the server stops before it could be noted; the next one does the job again.
        """
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                noted = note()
            except Refusal as refusal:
                self._note_problem(refusal)
            else:
                self.problem = None
                return noted
            if self._stopping:
                return None
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _note_problem(self, refusal: Refusal) -> None:
        log.error("jobs cannot be noted", extra={"reason": refusal.sentence})
        self.problem = refusal.sentence

    def _claim(self, worker: Worker) -> StoredJob | None:
        """Begins the next job; None where there is none, or the worker cannot load its models."""
        if worker.problem is not None:
            worker.prepare()
            if worker.problem is not None:
                return None
        with self._changed:
            job = self._store.claim()
            self.problem = None
            if job is not None:
                self._running[job.id] = worker
            return job

    def _do(self, job: StoredJob, worker: Worker) -> None:
        log.info("job begins", extra={"job": job.id, "preset": job.preset, "attempt": job.attempts})
        start = time.monotonic()
        folder = self._folder / job.id
        attempt = folder / f"attempt-{job.attempts}"
        attempt.mkdir(parents=True, exist_ok=True)
        made = {name: attempt / name for name in (VIDEO, MOT, LOOKS)}
        looks = [str(made[LOOKS])] if (folder / SITE).is_file() else []
        output = str(made[VIDEO]) if job.visualize else None
        progress = _Progress(job, worker, store=self._store, metrics=self._metrics)
        try:
            summary = worker.do(
                "track_video", str(folder / UPLOAD), job.preset, output, str(made[MOT]), *looks,
                seconds=self._limits.job_seconds, progress=progress,
            )  # fmt: skip
        except Refusal as refusal:
            if refusal.kind == "busy":
                self._persist(lambda: self._store.put_back(job))
            else:
                self._fail(job, refusal.sentence)
        except WorkerLost as lost:
            if self._stopping:
                self._persist(lambda: self._store.put_back(job))
                log.info("job put back", extra={"job": job.id})
            else:
                self._fail(job, f"job: {lost}")
        else:
            progress.count(summary["frames"])
            _publish(made, folder)
            if self._persist(lambda: self._store.finish(job, summary)):
                seconds = time.monotonic() - start
                self._metrics.job_seconds.observe(seconds)
                log.info("job done", extra={"job": job.id, "seconds": round(seconds, 3), "frames": summary["frames"]})
        self._tidy(job.id)

    def _fail(self, job: StoredJob, sentence: str) -> None:
        # False: it was cancelled, and the worker was ended for that.
        if self._persist(lambda: self._store.fail(job, sentence)):
            self._metrics.errors.labels("job").inc()
            log.warning("job failed", extra={"job": job.id, "reason": sentence})

    def _tidy(self, id: str) -> None:
        """Removes the files that a job needs no more; where it is not known how the job stands, the sweeper will."""
        try:
            tidy(self._folder / id, self._store.get(id))
        except (Refusal, OSError) as error:
            log.warning("job not tidied", extra={"job": id, "reason": sentence_of(error)})


def _publish(made: Mapping[str, Path], folder: Path) -> None:
    """Gives the files of an attempt their final names, each at once; the same ones where two servers did the job."""
    for name, path in made.items():
        if path.exists():
            path.replace(folder / name)


class _Progress:
    """Notes what a worker tells of a job."""

    def __init__(self, job: StoredJob, worker: Worker, *, store: JobStore, metrics: Metrics) -> None:
        self._job, self._worker, self._store, self._metrics = job, worker, store, metrics
        self._counted, self._noted = 0, 0.0

    def __call__(self, told: Any) -> None:
        done, frames = told
        self.count(done)
        if time.monotonic() - self._noted >= _NOTE_SECONDS:
            self._noted = time.monotonic()
            try:
                goes_on = self._store.progress(self._job, done, frames)
            except Refusal as refusal:  # how far it is will be noted the next time
                log.warning("progress not noted", extra={"job": self._job.id, "reason": refusal.sentence})
                return
            if not goes_on:
                self._worker.kill()  # cancelled while the process was being started

    def count(self, done: int) -> None:
        """Counts the frames up to this one."""
        self._metrics.frames.inc(done - self._counted)
        self._counted = done


def tidy(folder: Path, job: StoredJob | None) -> None:
    """Removes what is no longer needed of the files of a job.

    Args:
        folder: of the job.
        job: as it stands; None for one that is not known.
    """
    if job is None or job.state in ("failed", "cancelled"):
        shutil.rmtree(folder, ignore_errors=True)
    elif job.state == "done":
        (folder / UPLOAD).unlink(missing_ok=True)
        for attempt in folder.glob("attempt-*"):
            shutil.rmtree(attempt, ignore_errors=True)
        if not (folder / SITE).is_file():  # the site was deleted meanwhile
            (folder / LOOKS).unlink(missing_ok=True)
