"""The jobs of several servers, in PostgreSQL: procrastinate's queue says who works on which, and who died over one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mot_reid.serving.database import Rows
from mot_reid.serving.folder import random_id
from mot_reid.serving.jobs.job_store import JobStore
from mot_reid.serving.postgres import PostgresDatabase, PostgresRows, open_connection

QUEUE = "mot_reid"
_TASK = "track_video"
_TABLE = """
    CREATE TABLE jobs (
        number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        id TEXT UNIQUE NOT NULL,
        state TEXT NOT NULL,
        preset TEXT NOT NULL,
        visualize BOOLEAN NOT NULL,
        created DOUBLE PRECISION NOT NULL,
        started DOUBLE PRECISION,
        ended DOUBLE PRECISION,
        attempts INTEGER NOT NULL DEFAULT 0,
        frames_done INTEGER NOT NULL DEFAULT 0,
        frames INTEGER,
        result TEXT,
        error TEXT,
        listed BOOLEAN NOT NULL DEFAULT TRUE,
        ticket BIGINT
    )
"""


class SharedQueue:
    """Procrastinate's queue, and this server as one of its workers.

    A job has a ticket there for as long as it waits or runs. Every call belongs to a transaction of the store, so that
    the table and the queue never differ, and one server at a time is in here.

    Args:
        lost_seconds: without a heartbeat after which a server has lost its jobs.
    """

    def __init__(self, lost_seconds: float) -> None:
        from procrastinate import SyncPsycopgConnector
        from procrastinate.manager import JobManager
        from procrastinate.sql import queries

        self._manager, self._statements = JobManager(SyncPsycopgConnector()), queries
        self._lost_seconds = lost_seconds
        self._worker: int | None = None
        self._held: set[str] = set()

    def put(self, rows: Rows, id: str) -> None:
        """Appends a job."""
        from procrastinate.jobs import Job

        job = Job(id=None, queue=QUEUE, task_name=_TASK, lock=None, queueing_lock=None, task_kwargs={"id": id})
        ticket = self._manager.defer_job(job, connection=_shared(rows).connection).id
        rows.execute("UPDATE jobs SET ticket = ? WHERE id = ?", (ticket, id))

    def take(self, rows: Rows) -> str | None:
        """Returns the job that has waited longest, which this server now works on; None where none waits."""
        columns = self._call(rows, "fetch_job", queues=[QUEUE], worker_id=self._present(rows))[0]
        if columns["id"] is None:
            return None
        id: str = columns["args"]["id"]
        self._held.add(id)
        return id

    def put_back(self, rows: Rows, id: str) -> None:
        """Lets a job wait again that a server works on, or worked on when it died."""
        nothing_new = {"retry_at": None, "new_priority": None, "new_queue_name": None, "new_lock": None}
        for ticket in _tickets(rows, id):
            self._call(rows, "retry_job", job_id=ticket, **nothing_new)
        self._held.discard(id)

    def remove(self, rows: Rows, id: str) -> None:
        """Takes out a job that has ended or is forgotten."""
        for ticket in _tickets(rows, id):
            self._call(rows, "finish_job", job_id=ticket, status="succeeded", delete_job=True)
        self._held.discard(id)

    def drop(self, id: str) -> None:
        """Notes that this server does not work on a job: the transaction that took it may not have ended."""
        self._held.discard(id)

    def lost(self, rows: Rows) -> list[str]:
        """Returns the jobs whose server shows no sign of life, and those that this one took without knowing it."""
        stalled = self._call(
            rows, "select_stalled_jobs_by_heartbeat", queue=QUEUE, task_name=_TASK,
            seconds_since_heartbeat=self._lost_seconds,
        )  # fmt: skip
        ours = {
            found["args"]["id"] for found in self._call(
                rows, "list_jobs", id=None, queue_name=QUEUE, task_name=_TASK, status="doing", lock=None,
                queueing_lock=None, worker_id=self._present(rows),
            )
        }  # fmt: skip
        self._held &= ours
        return sorted({found["args"]["id"] for found in stalled} | (ours - self._held))

    def beat(self, rows: Rows) -> None:
        """Shows a sign of life."""
        self._call(rows, "update_heartbeat", worker_id=self._present(rows))

    def forget_lost(self, rows: Rows) -> None:
        """Removes the servers that show no sign of life; what they worked on is lost."""
        self._call(rows, "prune_stalled_workers", seconds_since_heartbeat=self._lost_seconds)

    def leave(self, rows: Rows) -> None:
        """Takes this server out; what it still works on can be taken by others at once."""
        if self._worker is not None:
            self._call(rows, "unregister_worker", worker_id=self._worker)

    def _present(self, rows: Rows) -> int:
        """Returns the number of this server among procrastinate's workers, a new one where the others took it out."""
        if not rows.execute("SELECT 1 FROM procrastinate_workers WHERE id = ?", (self._worker,)).fetchone():
            self._worker = self._call(rows, "register_worker")[0]["worker_id"]
        assert self._worker is not None
        return self._worker

    def _call(self, rows: Rows, name: str, **values: Any) -> list[dict[str, Any]]:
        """Returns what a statement of procrastinate gives, with the columns by name."""
        return _shared(rows).call(self._statements[name], values)


class SharedStore(JobStore):
    """The table of jobs of several servers, of which this is one.

    Args:
        address: of the database.
        lost_seconds: as in `SharedQueue`.

    Raises:
        ValueError: the database cannot be used, or a newer program wrote to it.
    """

    def __init__(self, address: str, *, lost_seconds: float) -> None:
        self._address = address
        self._shared = PostgresDatabase(address, part="jobs", steps=(_make_tables,))
        self._tickets = SharedQueue(lost_seconds)
        super().__init__(self._shared, self._tickets)

    def beat(self) -> None:
        """Shows a sign of life."""
        with self._shared.writing() as rows:
            self._tickets.beat(rows)

    def recover(self, attempts: int) -> tuple[int, int]:
        """As in `JobStore`, of the servers that show no sign of life."""
        found = super().recover(attempts)
        with self._shared.writing() as rows:
            self._tickets.forget_lost(rows)
        return found

    def name(self) -> str:
        """Returns the random letters that tell this database from others, wherever it is reached."""
        with self._shared.reading() as rows:
            return str(rows.execute("SELECT name FROM identity").fetchone()[0])

    def wait_for_job(self, stopping: threading.Event, new_job: Callable[[], None]) -> None:
        """Calls back for each job that any server takes, until it is to stop.

        Args:
            stopping: set when it is to stop.
            new_job: what is called.

        Raises:
            ValueError: the database cannot be reached.
            psycopg.Error: it went away.
        """
        with open_connection(self._address) as connection:
            connection.execute(f'LISTEN "procrastinate_queue_v1#{QUEUE}"'.encode())
            while not stopping.is_set():
                for _ in connection.notifies(timeout=1.0, stop_after=1):
                    new_job()

    def leave(self) -> None:
        """Takes this server out."""
        with self._shared.writing() as rows:
            self._tickets.leave(rows)


def _make_tables(rows: PostgresRows) -> None:
    from procrastinate.schema import SchemaManager

    rows.execute(SchemaManager.get_schema())
    rows.execute(_TABLE)
    rows.execute("CREATE INDEX jobs_by_state ON jobs (state, number)")
    rows.execute("CREATE TABLE identity (name TEXT NOT NULL)")
    rows.execute("INSERT INTO identity VALUES (?)", (random_id(),))


def _shared(rows: Rows) -> PostgresRows:
    assert isinstance(rows, PostgresRows)
    return rows


def _tickets(rows: Rows, id: str) -> list[int]:
    """Returns the ticket of a job; none where it has ended."""
    found = rows.execute(
        "SELECT ticket FROM jobs JOIN procrastinate_jobs ON procrastinate_jobs.id = ticket WHERE jobs.id = ?", (id,)
    ).fetchall()
    return [ticket for (ticket,) in found]
