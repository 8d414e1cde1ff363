"""The jobs of the service in SQLite: what was asked, how far it is, and what came of it, even if a process dies."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mot_reid.serving.sqlite import open_file, refusing

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")

_TABLES = (
    """
    CREATE TABLE jobs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT UNIQUE NOT NULL,
        state TEXT NOT NULL,
        preset TEXT NOT NULL,
        visualize INTEGER NOT NULL,
        created REAL NOT NULL,
        started REAL,
        ended REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        frames_done INTEGER NOT NULL DEFAULT 0,
        frames INTEGER,
        result TEXT,
        error TEXT
    ) STRICT
    """,
    "CREATE INDEX jobs_by_state ON jobs (state, number)",
)
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL")
_BUSY_SECONDS = 5.0
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


class JobStore:
    """The table of jobs. Every method may be called from any thread; what it returns is on disk.

    Args:
        path: of the database, made where it is missing.

    Raises:
        ValueError: the database is damaged, in use, not ours, or written by a newer program.
        Refusal: (every method) the disk is full or fails, or another program uses the database for too long.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = open_file(
            path, what="jobs", pragmas=_PRAGMAS, steps=(_make_tables, _mark_listed), timeout=_BUSY_SECONDS
        )

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._database.close()

    def add(
        self, id: str, *, preset: str, visualize: bool, frames: int | None, most_queued: int, listed: bool = True
    ) -> bool:
        """Queues a new job; False, and nothing is done, where `most_queued` jobs wait already."""
        changed = self._change(
            "INSERT INTO jobs (id, state, preset, visualize, created, frames, listed) "
            "SELECT ?, 'queued', ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM jobs WHERE state = 'queued') < ?",
            (id, preset, visualize, time.time(), frames, listed, most_queued),
        )
        return changed == 1

    def get(self, id: str) -> StoredJob | None:
        """Returns a job; None where there is none of that id."""
        found = self._ask(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (id,))
        return _job(found[0]) if found else None

    def newest(self, *, state: State | None = None, most: int, skip: int = 0) -> list[StoredJob]:
        """Returns the jobs that are listed, the newest first."""
        where = "WHERE listed" if state is None else "WHERE listed AND state = ?"
        values = (() if state is None else (state,)) + (most, skip)
        found = self._ask(f"SELECT {_COLUMNS} FROM jobs {where} ORDER BY number DESC LIMIT ? OFFSET ?", values)
        return [_job(row) for row in found]

    def counts(self) -> dict[State, int]:
        """Returns the number of jobs in each state."""
        found = dict(self._ask("SELECT state, count(*) FROM jobs GROUP BY state", ()))
        return {state: found.get(state, 0) for state in STATES}

    def claim(self) -> StoredJob | None:
        """Begins the job that has waited longest and returns it; None where none waits."""
        found = self._ask(
            "UPDATE jobs SET state = 'running', started = ?, attempts = attempts + 1, frames_done = 0 WHERE number = "
            f"(SELECT number FROM jobs WHERE state = 'queued' ORDER BY number LIMIT 1) RETURNING {_COLUMNS}",
            (time.time(),),
        )
        return _job(found[0]) if found else None

    def progress(self, id: str, done: int, frames: int | None) -> bool:
        """Notes how far a running job is; False where it runs no more."""
        values = (done, frames, id)
        return bool(
            self._change("UPDATE jobs SET frames_done = ?, frames = ? WHERE id = ? AND state = 'running'", values)
        )

    def finish(self, id: str, result: dict[str, Any]) -> bool:
        """Notes the result of a running job; False where it runs no more."""
        frames = result["expected_frames"] if result.get("truncated") else result["frames"]
        values = (time.time(), result["frames"], frames, json.dumps(result), id)
        return bool(
            self._change(
                "UPDATE jobs SET state = 'done', ended = ?, frames_done = ?, frames = ?, result = ? "
                "WHERE id = ? AND state = 'running'",
                values,
            )
        )

    def fail(self, id: str, error: str) -> bool:
        """Notes why a running job failed; False where it runs no more."""
        values = (time.time(), error, id)
        return bool(
            self._change(
                "UPDATE jobs SET state = 'failed', ended = ?, error = ? WHERE id = ? AND state = 'running'", values
            )
        )

    def cancel(self, id: str) -> bool:
        """Ends a job that waits or runs; False where it has ended."""
        return bool(
            self._change(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'running')",
                (time.time(), id),
            )
        )

    def delete(self, id: str) -> bool:
        """Forgets a job; False where there was none."""
        return bool(self._change("DELETE FROM jobs WHERE id = ?", (id,)))

    def put_back(self, id: str) -> None:
        """Queues a running job again, as if it had not been begun: the server stops, and the job has no part in it."""
        self._change(
            "UPDATE jobs SET state = 'queued', started = NULL, frames_done = 0, attempts = attempts - 1 "
            "WHERE id = ? AND state = 'running'",
            (id,),
        )

    def recover(self, attempts: int) -> tuple[int, int]:
        """Queues the jobs that ran when the server died; one that has been begun `attempts` times fails.

        Returns:
            The numbers of jobs that were queued again, and that failed.
        """
        failed = self._change(
            "UPDATE jobs SET state = 'failed', ended = ?, error = ? WHERE state = 'running' AND attempts >= ?",
            (time.time(), f"job: the server stopped each of the {attempts} times it worked on this", attempts),
        )
        queued = self._change(
            "UPDATE jobs SET state = 'queued', started = NULL, frames_done = 0 WHERE state = 'running'", ()
        )
        return queued, failed

    def expired(self, seconds: float) -> list[str]:
        """Returns the ids of jobs that ended longer ago than that."""
        found = self._ask("SELECT id FROM jobs WHERE ended < ?", (time.time() - seconds,))
        return [id for (id,) in found]

    def ids(self) -> set[str]:
        """Returns the ids of all jobs."""
        return {id for (id,) in self._ask("SELECT id FROM jobs", ())}

    def _ask(self, statement: str, values: Iterable[Any]) -> list[Any]:
        with self._lock, refusing("jobs"):
            return self._database.execute(statement, tuple(values)).fetchall()

    def _change(self, statement: str, values: Iterable[Any]) -> int:
        with self._lock, refusing("jobs"):
            return self._database.execute(statement, tuple(values)).rowcount


def _make_tables(rows: sqlite3.Connection) -> None:
    for statement in _TABLES:
        rows.execute(statement)


def _mark_listed(rows: sqlite3.Connection) -> None:
    rows.execute("ALTER TABLE jobs ADD COLUMN listed INTEGER NOT NULL DEFAULT 1")


def _job(row: tuple[Any, ...]) -> StoredJob:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values |= {name: bool(values[name]) for name in ("visualize", "listed")}
    values["result"] = json.loads(values["result"]) if values["result"] else None
    return StoredJob(**values)
