"""The jobs of one server, in a SQLite file: the table of jobs is the queue as well."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mot_reid.serving.database import Rows
from mot_reid.serving.jobs.job_store import JobStore
from mot_reid.serving.sqlite import SqliteDatabase

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


def local_store(path: Path) -> JobStore:
    """Returns the jobs that a file holds, for one server.

    Args:
        path: of the file, made where it is missing.

    Raises:
        ValueError: the file is damaged, in use, not ours, or written by a newer program.
    """
    steps = (_make_tables, _mark_listed)
    database = SqliteDatabase(path, what="jobs", pragmas=_PRAGMAS, steps=steps, timeout=_BUSY_SECONDS)
    return JobStore(database, LocalQueue())


class LocalQueue:
    """The queue of the only server there is: whatever runs when it starts was lost."""

    def put(self, rows: Rows, id: str) -> None:
        """Does nothing: the state of the job says that it waits."""

    def take(self, rows: Rows) -> str | None:
        """Returns the job that has waited longest; None where none waits."""
        found = rows.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY number LIMIT 1").fetchone()
        return found[0] if found else None

    def put_back(self, rows: Rows, id: str) -> None:
        """Does nothing, as `put`."""

    def remove(self, rows: Rows, id: str) -> None:
        """Does nothing, as `put`."""

    def drop(self, id: str) -> None:
        """Does nothing: a transaction that did not end left the job in its place."""

    def lost(self, rows: Rows) -> list[str]:
        """Returns the jobs that run, as the table says."""
        return [id for (id,) in rows.execute("SELECT id FROM jobs WHERE state = 'running' ORDER BY number").fetchall()]


def _make_tables(rows: sqlite3.Connection) -> None:
    for statement in _TABLES:
        rows.execute(statement)


def _mark_listed(rows: sqlite3.Connection) -> None:
    rows.execute("ALTER TABLE jobs ADD COLUMN listed INTEGER NOT NULL DEFAULT 1")
