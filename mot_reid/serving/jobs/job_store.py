"""The jobs of the service: what was asked, how far it is, and what came of it, even if a process or a machine dies."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from mot_reid.serving.database import Database, Rows

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")

_COLUMNS = "id, state, preset, visualize, created, started, ended, attempts, frames_done, frames, result, error, listed"


@dataclass(frozen=True, slots=True)
class StoredJob:
    """One job as it stands.

    Attributes:
        id: random letters.
        state: queued, running, done, failed or cancelled.
        preset: of the tracker.
        visualize: whether an annotated video is asked for.
        created: when it was asked for, in seconds since 1970, as all times here.
        started: when it was last begun.
        ended: when it ended.
        attempts: how often it was begun.
        frames_done: how many frames are tracked.
        frames: how many there are, as the video says; None where it does not.
        result: the summary of `pipeline.run.run`, once done.
        error: why it failed, in a sentence.
        listed: whether lists of jobs show it.
    """

    id: str
    state: State
    preset: str
    visualize: bool
    created: float
    started: float | None
    ended: float | None
    attempts: int
    frames_done: int
    frames: int | None
    result: dict[str, Any] | None
    error: str | None
    listed: bool = True


class Queue(Protocol):
    """Which job is next, and which ones lost the server that worked on them. Called inside the store's transactions."""

    def put(self, rows: Rows, id: str) -> None:
        """Appends a job."""

    def take(self, rows: Rows) -> str | None:
        """Returns the job that has waited longest, which this server now works on; None where none waits."""

    def put_back(self, rows: Rows, id: str) -> None:
        """Lets a job wait again that a server works on, or worked on when it died."""

    def remove(self, rows: Rows, id: str) -> None:
        """Takes out a job that has ended or is forgotten."""

    def drop(self, id: str) -> None:
        """Notes that this server does not work on a job: the transaction that took it may not have ended."""

    def lost(self, rows: Rows) -> list[str]:
        """Returns the jobs that run in the table, and that no server works on."""


class JobStore:
    """The table of jobs. Every method may be called from any thread; what it returns is on disk.

    A claimed job is named by the value that `claim` returned: if it was given to somebody else since, nothing is noted.

    Args:
        database: that has the table.
        queue: of the jobs that wait, in the same database.

    Raises:
        Refusal: (every method) the disk is full or fails, or the database cannot be used now.
    """

    def __init__(self, database: Database, queue: Queue) -> None:
        self._database, self._queue = database, queue

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def add(
        self, id: str, *, preset: str, visualize: bool, frames: int | None, most_queued: int, listed: bool = True
    ) -> bool:
        """Queues a new job; False, and nothing is done, where `most_queued` jobs wait already."""
        with self._database.writing() as rows:
            waiting = rows.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if waiting >= most_queued:
                return False
            rows.execute(
                "INSERT INTO jobs (id, state, preset, visualize, created, frames, listed) "
                "VALUES (?, 'queued', ?, ?, ?, ?, ?)",
                (id, preset, visualize, time.time(), frames, listed),
            )
            self._queue.put(rows, id)
        return True

    def get(self, id: str) -> StoredJob | None:
        """Returns a job; None where there is none of that id."""
        with self._database.reading() as rows:
            found = rows.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (id,)).fetchone()
        return _job(found) if found else None

    def newest(self, *, state: State | None = None, most: int, skip: int = 0) -> list[StoredJob]:
        """Returns the jobs that are listed, the newest first."""
        where = "WHERE listed" if state is None else "WHERE listed AND state = ?"
        values = (() if state is None else (state,)) + (most, skip)
        statement = f"SELECT {_COLUMNS} FROM jobs {where} ORDER BY number DESC LIMIT ? OFFSET ?"
        with self._database.reading() as rows:
            return [_job(row) for row in rows.execute(statement, values).fetchall()]

    def counts(self) -> dict[State, int]:
        """Returns the number of jobs in each state."""
        with self._database.reading() as rows:
            found = dict(rows.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def claim(self) -> StoredJob | None:
        """Begins the job that has waited longest and returns it; None where none waits."""
        id = None
        try:
            with self._database.writing() as rows:
                id = self._queue.take(rows)
                if id is None:
                    return None
                found = rows.execute(
                    "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1, frames_done = 0 "
                    f"WHERE id = ? RETURNING {_COLUMNS}",
                    (time.time(), id),
                ).fetchone()
        except BaseException:
            if id is not None:
                self._queue.drop(id)
            raise
        return _job(found)

    def progress(self, job: StoredJob, done: int, frames: int | None) -> bool:
        """Notes how far a claimed job is; False where it runs no more."""
        with self._database.writing() as rows:
            return _change(rows, job, "frames_done = ?, frames = ?", (done, frames))

    def finish(self, job: StoredJob, result: dict[str, Any]) -> bool:
        """Notes the result of a claimed job; False where it runs no more."""
        frames = result["expected_frames"] if result.get("truncated") else result["frames"]
        values = (time.time(), result["frames"], frames, json.dumps(result))
        return self._end(job, "state = 'done', ended = ?, frames_done = ?, frames = ?, result = ?", values)

    def fail(self, job: StoredJob, error: str) -> bool:
        """Notes why a claimed job failed; False where it runs no more."""
        return self._end(job, "state = 'failed', ended = ?, error = ?", (time.time(), error))

    def cancel(self, id: str) -> bool:
        """Ends a job that waits or runs; False where it has ended."""
        with self._database.writing() as rows:
            changed = rows.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'running')",
                (time.time(), id),
            ).rowcount
            if changed:
                self._queue.remove(rows, id)
            return bool(changed)

    def delete(self, id: str) -> bool:
        """Forgets a job; False where there was none."""
        with self._database.writing() as rows:
            self._queue.remove(rows, id)
            return bool(rows.execute("DELETE FROM jobs WHERE id = ?", (id,)).rowcount)

    def put_back(self, job: StoredJob) -> None:
        """Queues a claimed job again, as if it had not been begun: the server stops, and the job has no part in it."""
        with self._database.writing() as rows:
            if _change(rows, job, "state = 'queued', started = NULL, frames_done = 0, attempts = attempts - 1", ()):
                self._queue.put_back(rows, job.id)

    def recover(self, attempts: int) -> tuple[int, int]:
        """Queues the jobs whose server died; one that has been begun `attempts` times fails.

        Returns:
            The numbers of jobs that were queued again, and that failed.
        """
        queued = failed = 0
        error = f"job: the server stopped each of the {attempts} times it worked on this"
        with self._database.writing() as rows:
            for id in self._queue.lost(rows):
                if rows.execute(
                    "UPDATE jobs SET state = 'failed', ended = ?, error = ? "
                    "WHERE id = ? AND state = 'running' AND attempts >= ?",
                    (time.time(), error, id, attempts),
                ).rowcount:
                    self._queue.remove(rows, id)
                    failed += 1
                elif rows.execute(
                    "UPDATE jobs SET state = 'queued', started = NULL, frames_done = 0 "
                    "WHERE id = ? AND state = 'running'",
                    (id,),
                ).rowcount:
                    self._queue.put_back(rows, id)
                    queued += 1
        return queued, failed

    def expired(self, seconds: float) -> list[str]:
        """Returns the ids of jobs that ended longer ago than that."""
        with self._database.reading() as rows:
            found = rows.execute("SELECT id FROM jobs WHERE ended < ?", (time.time() - seconds,)).fetchall()
        return [id for (id,) in found]

    def _end(self, job: StoredJob, what: str, values: tuple[Any, ...]) -> bool:
        with self._database.writing() as rows:
            changed = _change(rows, job, what, values)
            if changed:
                self._queue.remove(rows, job.id)
        return changed


def _change(rows: Rows, job: StoredJob, what: str, values: tuple[Any, ...]) -> bool:
    """Changes a job that was claimed; False where it is no longer the claim's."""
    statement = f"UPDATE jobs SET {what} WHERE id = ? AND state = 'running' AND attempts = ?"
    return bool(rows.execute(statement, (*values, job.id, job.attempts)).rowcount)


def _job(row: tuple[Any, ...]) -> StoredJob:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values |= {name: bool(values[name]) for name in ("visualize", "listed")}
    values["result"] = json.loads(values["result"]) if values["result"] else None
    return StoredJob(**values)
