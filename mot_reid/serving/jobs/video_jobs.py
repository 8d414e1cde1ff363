"""The videos that are tracked: each is a row in the store, a folder of files, and a turn of a worker."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mot_reid.serving.content import HEAD_BYTES, video_format
from mot_reid.serving.folder import check_owner, random_id, size_of
from mot_reid.serving.jobs.heart import Heart
from mot_reid.serving.jobs.job_store import ENDED, JobStore, State, StoredJob
from mot_reid.serving.jobs.local import local_store
from mot_reid.serving.jobs.runner import MOT, UPLOAD, VIDEO, Runner, tidy
from mot_reid.serving.jobs.shared import SharedStore
from mot_reid.serving.looks import SITE, Looks
from mot_reid.serving.prometheus import Metrics
from mot_reid.serving.refusal import Refusal, disk_refusal, sentence_of
from mot_reid.serving.worker.pool import Worker, WorkerLost
from mot_reid.settings.serving import Limits

log = logging.getLogger(__name__)

SPARED_SECONDS = 3600.0
"""How young the files of nobody must be to stay where several servers share a folder: one may be receiving them."""

_DAY_SECONDS = 86400.0


class VideoJobs:
    """Takes videos, has them tracked, and keeps what came of them. Safe to call from any thread.

    Args:
        folder: of the service; the list of jobs and a folder for each are made in it.
        workers: with the task `track_video`; each works on one job at a time.
        checker: the worker with the task `check_video`.
        limits: of the service.
        metrics: counts frames, seconds and failures.

        database: address of the list of jobs where several servers share it and the folder; None: it is in the folder.

    Raises:
        ValueError: the list of jobs is damaged, in use, not ours, cannot be reached, or was written by a newer program.
        OSError: the folder is of servers with another list of jobs.
        Refusal: the disk is full or fails.

    Attributes:
        looks: what is known of the people of videos that belong to a site.
    """

    def __init__(
        self,
        folder: Path,
        workers: Sequence[Worker],
        checker: Worker,
        *,
        limits: Limits,
        metrics: Metrics,
        database: str | None = None,
    ) -> None:
        self._folder, self._checker, self._limits = folder / "jobs", checker, limits
        self._folder.mkdir(exist_ok=True)
        self.looks = Looks(self._folder)
        self._store, self._heart = _open(folder, database, limits, self._look_for_jobs)
        self.sweep(spared_seconds=0.0 if self._heart is None else SPARED_SECONDS)
        self._runner = Runner(self._store, workers, folder=self._folder, limits=limits, metrics=metrics)

    def start(self) -> None:
        """Begins to work on the jobs that wait, those that were left by the last server included."""
        if self._heart is not None:
            self._heart.start()
        self._runner.start()

    @property
    def problem(self) -> str | None:
        """Why nothing can be noted of jobs at present, in a sentence; None where it can."""
        return self._runner.problem or (self._heart.problem if self._heart is not None else None)

    def stop(self) -> None:
        """Stops working: running jobs have `shutdown_seconds` to end, or wait for the next start."""
        self._runner.stop(self._limits.shutdown_seconds)
        if self._heart is not None:
            self._heart.stop()

    def close(self) -> None:
        """Closes the list of jobs."""
        self._store.close()

    def counts(self) -> Mapping[State, int]:
        """Returns the number of jobs in each state."""
        return self._store.counts()

    def submit(
        self, path: Path, *, preset: str, visualize: bool, listed: bool = True, site: str | None = None
    ) -> StoredJob:
        """Queues a video to be tracked and returns its job.

        Args:
            path: of the video, which is moved into the folder of the job; where it is refused, it stays.
            preset: of the tracker.
            visualize: whether an annotated video is wanted.
            listed: whether lists of jobs show it.
            site: whose videos it is joined with; None: with none.

        Raises:
            Refusal: it is no video that is taken, or there is no room for it.
        """
        with path.open("rb") as file:
            if video_format(file.read(HEAD_BYTES)) is None:
                raise Refusal("unsupported", "video: got a file of another kind; expected AVI, MP4, MOV, MKV or WebM")
        frames = self._look_into(path)["frames"]
        self._check_room(path.stat().st_size)
        id = random_id()
        folder = self._folder / id
        most = self._limits.queue
        try:
            folder.mkdir()
            if site is not None:
                (folder / SITE).write_text(site, encoding="utf-8")
            shutil.move(path, folder / UPLOAD)
            if not self._store.add(
                id, preset=preset, visualize=visualize, frames=frames, most_queued=most, listed=listed
            ):
                raise Refusal("busy", f"queue: {most} jobs wait already; try again later", retry_seconds=60)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise disk_refusal(error) from error
            raise
        self._runner.wake()
        return self.get(id)

    def get(self, id: str) -> StoredJob:
        """Returns a job as it stands.

        Raises:
            Refusal: there is none of that id.
        """
        job = self._store.get(id)
        if job is None:
            raise Refusal("not_found", "job: there is none with this id; it may have been deleted or expired")
        return job

    def newest(self, *, state: State | None = None, most: int = 50, skip: int = 0) -> list[StoredJob]:
        """Returns jobs, the newest first.

        Args:
            state: of the jobs; None is any.
            most: how many.
            skip: how many newer ones are left out.
        """
        return self._store.newest(state=state, most=most, skip=skip)

    def of_site(self, site: str) -> list[StoredJob]:
        """Returns the jobs of a site, the oldest first.

        Args:
            site: its name.
        """
        found = [self._store.get(id) for id in self.looks.jobs(site)]
        return sorted((job for job in found if job is not None), key=lambda job: (job.created, job.id))

    def cancel(self, id: str) -> StoredJob:
        """Ends a job that waits or runs, removes its files and returns it.

        Raises:
            Refusal: there is none of that id, or it has ended.
        """
        self.get(id)
        if not self._store.cancel(id):
            raise Refusal("conflict", f"job: it is {self.get(id).state}; expected one that is waiting or running")
        self._runner.end(id)
        log.info("job cancelled", extra={"job": id})
        return self.get(id)

    def delete(self, id: str) -> None:
        """Forgets a job, with all its files; one that runs is ended.

        Raises:
            Refusal: there is none of that id.
        """
        self.get(id)
        try:
            self._store.delete(id)
        except Refusal as refusal:
            if refusal.kind != "disk_full":
                raise
            self._runner.end(id)  # makes the room that the list of jobs needs
            self._store.delete(id)
        self._runner.end(id)
        log.info("job deleted", extra={"job": id})

    def video_path(self, id: str) -> Path:
        """Returns the annotated video of a job.

        Raises:
            Refusal: there is no such job, it is not done, or no video was asked for.
        """
        if not self.get(id).visualize:
            raise Refusal("not_found", "video: no annotated video was requested; send visualize=true with the upload")
        return self._result(id, VIDEO)

    def mot_path(self, id: str) -> Path:
        """Returns the tracks of a job, in MOTChallenge's format.

        Raises:
            Refusal: there is no such job, or it is not done.
        """
        return self._result(id, MOT)

    def sweep(self, *, spared_seconds: float = 0.0) -> None:
        """Forgets jobs that were kept long enough, and removes files that belong to no job.

        Args:
            spared_seconds: how young a folder of no job must be to stay, since its upload may be being queued.
        """
        for id in self._store.expired(self._limits.stored_days * _DAY_SECONDS):
            self._store.delete(id)
        for folder in self._folder.iterdir():
            job = self._store.get(folder.name)
            try:
                if job is None and time.time() - folder.stat().st_mtime < spared_seconds:
                    continue
                if job is None or job.state in ENDED:
                    tidy(folder, job)
            except OSError as error:  # such as a folder that is gone meanwhile; the others are swept all the same
                log.warning("folder not swept", extra={"job": folder.name, "reason": sentence_of(error)})

    # ---- inside -------------------------------------------------------------------------------------------------

    def _look_for_jobs(self) -> None:
        self._runner.wake()

    def _look_into(self, path: Path) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = self._checker.do(
                "check_video", str(path), seconds=self._limits.check_seconds, wait_seconds=self._limits.call_seconds
            )
            return facts
        except WorkerLost as lost:
            raise Refusal("invalid", f"video: it could not be opened: {lost}") from None

    def _check_room(self, more: int) -> None:
        if size_of(self._folder) + more > self._limits.stored_bytes:
            raise Refusal(
                "disk_full", "storage: the space for uploads and results is used up; delete jobs, or try again later"
            )

    def _result(self, id: str, name: str) -> Path:
        state = self.get(id).state
        if state != "done":
            raise Refusal("conflict", f"job: it is {state}; expected one that is done")
        path = self._folder / id / name
        if not path.is_file():
            raise Refusal("not_found", "job: it has no such file; the video may have had no frames")
        return path


def _open(
    folder: Path, database: str | None, limits: Limits, new_job: Callable[[], None]
) -> tuple[JobStore, Heart | None]:
    """Returns the list of jobs; the heart of this server where others share the list."""
    if database is None:
        check_owner(folder, None)
        store = local_store(folder / "jobs.sqlite")
        queued, failed = store.recover(limits.attempts)
        if queued or failed:
            log.warning("jobs of a server that died", extra={"queued_again": queued, "failed": failed})
        return store, None
    shared, seconds = SharedStore(database, lost_seconds=limits.lost_seconds), limits.lost_seconds
    check_owner(folder, shared.name())
    return shared, Heart(shared, lost_seconds=seconds, attempts=limits.attempts, new_job=new_job)
